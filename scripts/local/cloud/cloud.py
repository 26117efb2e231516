"""One simulated cloud: moto over HTTP, the providers over gRPC, and the control endpoint, in one process."""

from __future__ import annotations

import os
import threading
from typing import Any

import grpc
import requests
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from scripts.local.cloud import corrections, eks_provider
from scripts.local.cloud.aws import AwsBackend
from scripts.local.cloud.backend import Backend
from scripts.local.cloud.beside import with_store
from scripts.local.cloud.control import control_app
from scripts.local.cloud.data_plane import DataPlane
from scripts.local.cloud.journal import Journal
from scripts.local.cloud.random_provider import RandomBackend
from scripts.local.cloud.serial import one_at_a_time
from scripts.local.cloud.servicer import ProviderServicer, serve
from scripts.local.cloud.session import Session


class Cloud:
    """Everything that `python -m scripts.local.cloud` serves."""

    def __init__(self, region: str, account: str, data_plane: DataPlane, port: int = 0) -> None:
        self._region, self._account, self._data_plane, self._port = region, account, data_plane, port
        self._journal = Journal()
        self._http: list[BaseWSGIServer] = []
        self._grpc: list[grpc.Server] = []
        self._aio: grpc.aio.Server | None = None

    async def start(self) -> dict[str, Any]:
        """Start all parts; returns their addresses as the ready file holds them."""
        corrections.apply()
        moto = one_at_a_time(DomainDispatcherApplication(create_backend_app))
        port = self._listen(with_store(moto, lambda: session), self._port)
        endpoint = f"http://127.0.0.1:{port}"
        # Where moto's own state machines find the services that they call.
        os.environ["MOTO_PORT"] = str(port)
        requests.post(
            f"{endpoint}/moto-api/config", json={"stepfunctions": {"execute_state_machine": True}}, timeout=30
        ).raise_for_status()
        session = Session(endpoint, self._account, data_plane=self._data_plane)
        control = self._listen(control_app(session, self._region, self._journal), 0)
        self._aio, eks = await eks_provider.serve(self._data_plane)
        ports = {
            "aws": self._provider(AwsBackend(session, self._region)),
            "random": self._provider(RandomBackend()),
            "eks": eks,
            "kubernetes": self._provider(_kubernetes(self._data_plane)),
        }
        return {
            "endpoint": endpoint,
            "control": f"http://127.0.0.1:{control}",
            "debug_providers": ",".join(f"{name}:{port}" for name, port in ports.items()),
            "region": self._region,
            "account": self._account,
            "pid": os.getpid(),
        }

    async def stop(self) -> None:
        """Stop answering; requests under way get a second."""
        if self._aio is not None:
            await self._aio.stop(1)
        for server in self._grpc:
            server.stop(1)
        for http in self._http:
            http.shutdown()

    def _listen(self, app: Any, port: int) -> int:
        server = make_server("127.0.0.1", port, app, threaded=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self._http.append(server)
        return int(server.server_port)

    def _provider(self, backend: Any) -> int:
        server, port = serve(ProviderServicer(backend, self._journal))
        self._grpc.append(server)
        return port


def _kubernetes(data_plane: DataPlane) -> Backend:
    """The kubernetes provider; without a control plane in the data plane it checks inputs, for previews."""
    from scripts.local.kubernetes.provider import KubernetesBackend

    real = data_plane.kubernetes
    backend: Backend = KubernetesBackend.of(None if real is None else real.kubeconfig)
    return backend
