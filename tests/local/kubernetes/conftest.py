"""One real control plane and node for all tests of this folder; every test works in a namespace of its own."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from scripts.local.cloud.beside import with_store
from scripts.local.cloud.session import Session
from scripts.local.kubernetes import crds, images
from scripts.local.kubernetes.api import Api, ApiError, Object
from scripts.local.kubernetes.cluster import Cluster
from scripts.local.kubernetes.control_plane import ControlPlane
from scripts.local.processes import Running, end
from scripts.toolchain import kubernetes as toolchain

ACCOUNT = "123456789012"
REGISTRY = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"

SERVER = """
import http.server, os, signal, sys, threading, time
from pathlib import Path

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"
    def do_GET(self):
        broken = Path("/tmp/broken").exists() and self.path != "/"
        self.send_response(500 if broken else 200)
        self.end_headers()
        self.wfile.write(os.environ.get("ANSWER", "hello").encode())
    def log_message(self, form, *arguments):
        print("request", form % arguments, flush=True)

def end(number, frame):
    print("asked to end", flush=True)
    threading.Thread(target=leave).start()

def leave():
    # Requests that are on their way are still answered meanwhile.
    time.sleep(float(os.environ.get("LINGER", "0")))
    print("ended in order", flush=True)
    os._exit(0)

signal.signal(signal.SIGTERM, end)
print("listening", flush=True)
http.server.ThreadingHTTPServer((os.environ["POD_IP"], 8080), Handler).serve_forever()
"""

ENDLESS = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True:
    time.sleep(60)
"""


@dataclass(frozen=True, slots=True)
class World:
    """A running cluster and what tests need to use it."""

    cluster: Cluster
    running: dict[str, Running]
    image: str
    moto: str
    cloud: Session

    @property
    def kubeconfig(self) -> Path:
        return self.cluster.plane.kubeconfig()

    def kubectl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.cluster.plane.bin / "kubectl"), "--kubeconfig", str(self.kubeconfig), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Started once, in about ten seconds."""
    folder = tmp_path_factory.mktemp("kubernetes")
    source = folder / "source"
    (source / "tiny").mkdir(parents=True)
    (source / "tiny" / "server.py").write_text(SERVER)
    (source / "tiny" / "endless.py").write_text(ENDLESS)
    digest = images.build(source, folder / "images", Path(sys.executable))
    # Each worker of pytest-xdist, and each checkout, takes a block of its own, above those of platforms.
    block = f"127.{128 + os.getpid() % 120}"
    binaries = toolchain.find() or toolchain.obtain(print)
    application = with_store(DomainDispatcherApplication(create_backend_app), lambda: session)
    moto = make_server("127.0.0.1", 0, application, threaded=True)
    session = Session(f"http://127.0.0.1:{moto.server_port}", ACCOUNT)
    threading.Thread(target=moto.serve_forever, daemon=True).start()
    cluster = Cluster(
        plane=ControlPlane.on_free_ports(folder / "cluster", binaries, block),
        images=folder / "images",
        aws_endpoint=f"http://127.0.0.1:{moto.server_port}",
    )
    running: dict[str, Running] = {}
    try:
        for part in cluster.start(with_parent=True):
            running[part.name] = part
        crds.install(cluster.plane.kubeconfig(), ["external-secrets"])
        yield World(cluster, running, f"{REGISTRY}/tiny@{digest}", cluster.aws_endpoint or "", session)
    finally:
        for part in reversed(running.values()):
            end(part)
        moto.shutdown()


@pytest.fixture
async def api(world: World) -> AsyncIterator[Api]:
    """A client with the administrator's rights."""
    async with Api(world.kubeconfig) as client:
        yield client


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace for one test."""

    api: Api
    name: str
    image: str

    def path(self, plural: str, name: str = "") -> str:
        group = {"deployments": "apis/apps/v1", "jobs": "apis/batch/v1"}.get(plural, "api/v1")
        if plural in ("externalsecrets", "secretstores"):
            group = "apis/external-secrets.io/v1"
        return f"/{group}/namespaces/{self.name}/{plural}" + (f"/{name}" if name else "")

    async def create(self, plural: str, body: Object) -> Object:
        created: Object = await self.api.create(self.path(plural), body, fieldValidation="Strict")
        return created

    async def get(self, plural: str, name: str) -> Object:
        found: Object = await self.api.get(self.path(plural, name))
        return found

    async def pods(self, **labels: str) -> list[Object]:
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        listed = await self.api.get(self.path("pods"), labelSelector=selector)
        return [pod for pod in listed["items"] if "deletionTimestamp" not in pod["metadata"]]

    def container(self, *command: str, **extra: Any) -> Object:
        address = {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
        container = {
            "name": "main",
            "image": self.image,
            "command": list(command) or ["python", "-m", "tiny.server"],
            "ports": [{"containerPort": 8080, "name": "http"}],
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
        }
        return {**container, **extra, "env": [address, *extra.get("env", [])]}

    async def pod(self, name: str, container: Object, **spec: Any) -> Object:
        whole = {"terminationGracePeriodSeconds": 2, "containers": [container], **spec}
        return await self.create("pods", {"metadata": {"name": name, "labels": {"app": name}}, "spec": whole})

    async def deployment(self, name: str, container: Object, replicas: int = 1, **spec: Any) -> Object:
        template = {
            "metadata": {"labels": {"app": name}},
            "spec": {"terminationGracePeriodSeconds": 5, "containers": [container], **spec},
        }
        body = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
        return await self.create("deployments", {"metadata": {"name": name}, "spec": body})

    async def job(self, name: str, container: Object, **spec: Any) -> Object:
        template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
        return await self.create("jobs", {"metadata": {"name": name}, "spec": {"template": template, **spec}})

    async def service(self, name: str, **spec: Any) -> Object:
        body = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": "http"}], **spec}
        return await self.create("services", {"metadata": {"name": name}, "spec": body})


async def until(condition: Callable[[], Awaitable[Any]], *, timeout: float = 60, say: str = "") -> Any:
    """What ``condition`` gives, as soon as that is true; an API error counts as not yet."""
    last: Any = None
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout):
            while True:
                try:
                    last = await condition()
                except ApiError as error:
                    last = error
                if last and not isinstance(last, ApiError):
                    return last
                await asyncio.sleep(0.1)
    raise AssertionError(f"not within {timeout} s: {say or condition.__doc__ or condition.__name__}; last: {last}")


def ready(pod: Object) -> bool:
    """Whether a pod's Ready condition holds."""
    conditions = pod.get("status", {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def state(pod: Object, container: int = 0) -> Object:
    """The state of one of a pod's containers."""
    statuses = pod.get("status", {}).get("containerStatuses") or []
    return statuses[container]["state"] if statuses else {}


@pytest.fixture
async def namespace(world: World, api: Api) -> AsyncIterator[Namespace]:
    """A fresh one, under the restricted Pod Security standard, removed after the test."""
    name = f"test-{secrets.token_hex(4)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    await api.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
    # Pods are admitted once the service account controller has been here.
    await until(lambda: api.find(f"/api/v1/namespaces/{name}/serviceaccounts/default"))
    yield Namespace(api, name, world.image)
    await api.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def secrets_manager(world: World) -> Any:
    """The simulated AWS Secrets Manager that the cluster reads."""
    return boto3.client(
        "secretsmanager",
        endpoint_url=world.moto,
        region_name="eu-west-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
