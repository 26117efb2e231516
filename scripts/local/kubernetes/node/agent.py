"""The agent: watches pods and Services, and keeps processes, listeners and hosts files in line with them."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.local.kubernetes.api import Api, Informer, Object
from scripts.local.kubernetes.control_plane import NODE
from scripts.local.kubernetes.node import kubelet_api, sandbox
from scripts.local.kubernetes.node.addresses import Addresses
from scripts.local.kubernetes.node.events import Recorder
from scripts.local.kubernetes.node.hosts import Hosts, entries
from scripts.local.kubernetes.node.identity import Identity
from scripts.local.kubernetes.node.pod import Node, Pod
from scripts.local.kubernetes.node.probes import Prober
from scripts.local.kubernetes.node.proxy import Proxy, selects
from scripts.local.kubernetes.node.registration import Registration, capacity
from scripts.local.processes import free_port

log = logging.getLogger(__name__)
STOP_SECONDS = 5.0  # what pods get when the whole platform is stopped: a developer does not wait for every grace period


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The command line of the agent."""

    kubeconfig: Path
    pki: Path
    images: Path
    block: str
    state: Path
    aws_endpoint: str | None = None
    region: str = "eu-west-1"
    cluster: str = "local"
    ca_bundle: Path | None = None
    overcommit: float = 4.0


class Agent:
    """One node."""

    def __init__(self, settings: Settings) -> None:
        """Raises sandbox.Unavailable when this machine does not allow the namespaces that containers need."""
        words = sandbox.namespaces()
        host = f"{settings.block}.0.1"
        self._api = Api(settings.kubeconfig)
        port, credentials_port = free_port(host, preferred=10250), free_port(host)
        self._recorder = Recorder(self._api)
        self._changed = asyncio.Event()
        self._pods: dict[str, Pod] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._proxy = Proxy(lambda service, why: self._recorder.record(service, "ProxyFailed", why, warning=True))
        url = f"http://{host}:{credentials_port}"
        identity = Identity(endpoint=settings.aws_endpoint, region=settings.region, cluster=settings.cluster, url=url)
        self._node = Node(
            api=self._api,
            state=settings.state.resolve(),
            images=settings.images.resolve(),
            host=host,
            capacity=capacity(settings.overcommit),
            words=words,
            addresses=Addresses(settings.block),
            prober=Prober(),
            recorder=self._recorder,
            hosts=Hosts(),
            identity=identity,
            ca_bundle=settings.ca_bundle and settings.ca_bundle.resolve(),
            service_variables=self._service_variables,
            readiness_changed=self._changed.set,
        )
        self._registration = Registration(
            self._api, host=host, port=port, capacity=self._node.capacity, region=settings.region, state=settings.state
        )
        self._watched = Informer(self._api, "/api/v1/pods", self._pod_changed, fieldSelector=f"spec.nodeName={NODE}")
        self._services = Informer(self._api, "/api/v1/services", lambda event, service: self._changed.set())
        self._servers = [
            kubelet_api.logs(self._find, settings.pki, host, port),
            kubelet_api.credentials(identity, host, credentials_port),
        ]

    async def run(self, stopped: asyncio.Event) -> None:
        """Work until ``stopped``, then end every pod's processes; the next agent runs the pods again."""
        self._node.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        work: list[Coroutine[Any, Any, Any]] = [
            self._registration.run(),
            self._services.run(),
            self._watch_pods(),
            self._serve_services(),
            *(server.serve() for server in self._servers),
        ]
        tasks = [asyncio.create_task(each) for each in work]
        ended = asyncio.create_task(stopped.wait())
        done, _ = await asyncio.wait([*tasks, ended], return_when=asyncio.FIRST_COMPLETED)
        log.info("stopping %d pods", len(self._pods))
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*(pod.stop(STOP_SECONDS, "Node is stopping:") for pod in self._pods.values()))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, *self._tasks.values(), return_exceptions=True)
        await self._proxy.close()
        await self._node.prober.close()
        await self._api.close()
        for task in done - {ended}:
            task.result()  # a part that ended by itself did so by an error

    async def _watch_pods(self) -> None:
        # Services come first: their variables belong in a container's environment.
        await self._services.synced.wait()
        await self._watched.run()

    def _pod_changed(self, event: str, found: Object) -> None:
        uid = found["metadata"]["uid"]
        pod = self._pods.get(uid)
        if event == "DELETED":
            if pod:
                pod.gone()
        elif pod:
            pod.update(found)
        else:
            pod = self._pods[uid] = Pod(found, self._node)
            task = self._tasks[uid] = asyncio.create_task(pod.run())
            task.add_done_callback(lambda task: self._pod_ended(uid, task))
        self._changed.set()

    def _pod_ended(self, uid: str, task: asyncio.Task[None]) -> None:
        self._pods.pop(uid, None)
        self._tasks.pop(uid, None)
        self._changed.set()
        if not task.cancelled() and (error := task.exception()):
            log.error("pod %s: %s", uid, error, exc_info=error)

    async def _serve_services(self) -> None:
        await self._services.synced.wait()
        await self._watched.synced.wait()
        self._remove_leftovers()
        while True:
            await self._changed.wait()
            self._changed.clear()
            pods = list(self._pods.values())
            await self._proxy.show(self._services.items, pods)
            names: dict[str, list[tuple[str, str]]] = {}
            for (namespace, _), service in self._services.items.items():
                early = service["spec"].get("publishNotReadyAddresses", False)
                chosen = [
                    (pod.pod, pod.address)
                    for pod in pods
                    if pod.address and (pod.ready or early) and selects(service, pod.pod)
                ]
                names.setdefault(namespace, []).extend(entries(service, chosen))
            self._node.hosts.show(names)

    def _remove_leftovers(self) -> None:
        """Folders of pods that ended while no agent ran."""
        live = {pod.folder for pod in self._pods.values()}
        for folder in (self._node.state / "pods").glob("*"):
            if folder not in live:
                shutil.rmtree(folder, ignore_errors=True)

    def _find(self, namespace: str, name: str) -> Pod | None:
        for pod in self._pods.values():
            metadata = pod.pod["metadata"]
            if (metadata["namespace"], metadata["name"]) == (namespace, name):
                return pod
        return None

    def _service_variables(self, namespace: str) -> Mapping[str, str]:
        """``X_SERVICE_HOST`` and ``X_SERVICE_PORT``; for "" only the API server's, which is reached directly."""
        if not namespace:
            host, _, port = self._api.url.removeprefix("https://").partition(":")
            return {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
        variables = {}
        for (where, name), service in self._services.items.items():
            spec = service["spec"]
            if where == namespace and spec.get("clusterIP") not in (None, "", "None") and name != "kubernetes":
                prefix = name.upper().replace("-", "_")
                variables[f"{prefix}_SERVICE_HOST"] = spec["clusterIP"]
                variables[f"{prefix}_SERVICE_PORT"] = str(spec["ports"][0]["port"])
        return variables
