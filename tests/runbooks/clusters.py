"""A real API server as the environment's cluster. No controller runs beside it: what happens to objects, tests say."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from runbooks._kit.kubernetes import Cluster, Size
from scripts.local.kubernetes import crds
from scripts.local.kubernetes.control_plane import ControlPlane
from scripts.local.processes import serving
from scripts.toolchain import kubernetes as toolchain
from tests.runbooks.environment import ACCOUNT, REGION, Environment

_POD = {
    "containers": [
        {"name": "main", "image": "none", "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}}},
    ]
}
_QUEUE = {"type": "aws-sqs-queue", "metadata": {"queueLength": "20"}}


@pytest.fixture(scope="session")
def api_server(folder: Path) -> Iterator[ControlPlane]:
    """Kubernetes' API with its store, and KEDA's definitions."""
    binaries = toolchain.find() or toolchain.obtain(print)
    # A block for each worker of pytest-xdist, above those of platforms.
    plane = ControlPlane.on_free_ports(folder / "cluster", binaries, f"127.{128 + os.getpid() % 120}")
    plane.prepare()
    etcd, server, *_ = plane.servers()
    with serving(etcd, lambda: True), serving(server, plane.ready):
        crds.install(plane.kubeconfig(), ["keda"])
        yield plane


@dataclass(frozen=True)
class Workloads:
    """A namespace of the cluster that is the environment's."""

    environment: Environment
    api: client.ApiClient
    plane: ControlPlane

    @property
    def namespace(self) -> str:
        return self.environment.name

    def deployment(self, name: str, pods: int) -> None:
        labels = {"app": name}
        template = {"metadata": {"labels": labels}, "spec": _POD}
        spec = {"replicas": pods, "selector": {"matchLabels": labels}, "template": template}
        body = {"metadata": {"name": name}, "spec": spec}
        client.AppsV1Api(self.api).create_namespaced_deployment(self.namespace, body)

    def scaled_object(self, name: str, least: int, most: int) -> None:
        """A Deployment that KEDA scales by a queue."""
        self.deployment(name, least)
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
        spec = {
            "scaleTargetRef": target,
            "minReplicaCount": least,
            "maxReplicaCount": most,
            "triggers": [_QUEUE],
        }
        body = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": name}, "spec": spec}
        client.CustomObjectsApi(self.api).create_namespaced_custom_object(
            "keda.sh", "v1alpha1", self.namespace, "scaledobjects", body
        )

    def autoscaler(self, name: str, least: int, most: int, *, target: str = "") -> None:
        """An autoscaler; of a Deployment of its own unless ``target`` names one."""
        if not target:
            self.deployment(name, least)
        reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": target or name}
        spec = {"scaleTargetRef": reference, "minReplicas": least, "maxReplicas": most}
        client.AutoscalingV2Api(self.api).create_namespaced_horizontal_pod_autoscaler(
            self.namespace, {"metadata": {"name": name}, "spec": spec}
        )

    def sizes(self) -> dict[str, Size]:
        return Cluster(self.api, self.namespace).sizes()

    def remembered(self, runbook: str) -> dict[str, Any]:
        return Cluster(self.api, self.namespace).remembered(runbook)

    def least(self) -> dict[str, int]:
        """How many pods each Deployment has at least."""
        return {name: size.least for name, size in self.sizes().items()}

    def come_up(self) -> None:
        """All pods are there and ready, as many as there shall be at least."""
        apps = client.AppsV1Api(self.api)
        for name, least in self.least().items():
            self.scale(name, least)
            status = {"replicas": least, "readyReplicas": least, "availableReplicas": least}
            apps.patch_namespaced_deployment_status(name, self.namespace, {"status": status})

    def quota(self, hard: dict[str, str], used: dict[str, str]) -> None:
        """A quota of the namespace, of which so much is used."""
        core = client.CoreV1Api(self.api)
        core.create_namespaced_resource_quota(self.namespace, {"metadata": {"name": "quota"}, "spec": {"hard": hard}})
        status = {"status": {"hard": hard, "used": used}}
        core.patch_namespaced_resource_quota_status("quota", self.namespace, status)

    def scale(self, name: str, pods: int) -> None:
        """What somebody does by hand."""
        body = {"spec": {"replicas": pods}}
        client.AppsV1Api(self.api).patch_namespaced_deployment(name, self.namespace, body)


@pytest.fixture
def workloads(
    environment: Environment, api_server: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workloads]:
    """The environment's cluster is the real one, and kubectl's context leads to it."""
    monkeypatch.setenv("KUBECONFIG", str(api_server.kubeconfig()))
    environment.answers["eks:DescribeCluster"] = lambda asked: {
        "cluster": {
            "name": asked["name"],
            "arn": f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/{asked['name']}",
            "endpoint": api_server.url,
        }
    }
    environment.write(namespace=environment.name)
    with config.new_client_from_config(str(api_server.kubeconfig())) as api:
        namespaces = client.CoreV1Api(api)
        namespaces.create_namespace({"metadata": {"name": environment.name}})
        yield Workloads(environment, api, api_server)
        namespaces.delete_namespace(environment.name)


@contextmanager
def once(condition: Callable[[], bool], then: Callable[[], Any]) -> Iterator[None]:
    """Do ``then`` as soon as ``condition`` holds, within the block: what others do when a runbook has done its part."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            if condition():
                then()
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
