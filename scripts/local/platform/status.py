"""What the platform consists of, where each part is, and how it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes import client, config

from scripts.local.cloud.running import Addresses
from scripts.local.platform.layout import Layout

# What the processes are, by the name under which they were started; the rest is Kubernetes' own.
_KINDS = {
    "postgres": "PostgreSQL",
    "redis": "Redis",
    "rabbitmq": "RabbitMQ",
    "rabbitmq-epmd": "RabbitMQ's port mapper",
    "stripe": "Stripe (stand-in)",
    "novu": "Novu (stand-in)",
    "issuer": "OIDC issuer (stand-in)",
    "cloud": "AWS (simulated)",
    "etcd": "Kubernetes",
    "kube-apiserver": "Kubernetes",
    "kube-controller-manager": "Kubernetes",
    "kube-scheduler": "Kubernetes",
    "node": "Kubernetes node",
    "external-secrets": "external-secrets (stand-in)",
}
NAMESPACE = "platform"


class NotDeployed(RuntimeError):
    """A service is not on the cluster."""


@dataclass(frozen=True, slots=True)
class Row:
    """One part: ``state`` is "running", "ended", or how many of its pods are ready."""

    name: str
    kind: str
    url: str
    state: str

    @property
    def ok(self) -> bool:
        ready, _, wanted = self.state.partition("/")
        return self.state == "running" or (bool(wanted) and ready == wanted.split()[0])


def rows(layout: Layout) -> list[Row]:
    """Every part that was started, then every workload; empty when there is no platform."""
    record, running = layout.recorded(), layout.running()
    if not record:
        return []
    urls = _urls(record)
    found = [
        Row(name, _KINDS.get(name, name), urls.get(name, ""), "running" if part.process() else "ended")
        for name, part in running.items()
    ]
    if any(row.name == "kube-apiserver" and row.ok for row in found):
        found += _workloads(record["kubeconfig"])
    return found


def service_url(layout: Layout, service: str) -> str:
    """The base URL of a service's API. Raises NotDeployed when the cluster has none."""
    for row in _workloads(layout.recorded()["kubeconfig"]):
        if row.name == f"{service}-api" and row.url:
            return row.url
    raise NotDeployed(f"the platform has no {service} API yet; finish `make up` and look at `eventctl local status`")


def _urls(record: dict[str, str]) -> dict[str, str]:
    cloud = Path(record["cloud"])
    endpoint = Addresses.load(cloud).endpoint if cloud.exists() else ""
    return {**record, "kube-apiserver": record["kubernetes"], "cloud": endpoint}


def _workloads(kubeconfig: str) -> list[Row]:
    api = config.new_client_from_config(kubeconfig)
    with api:
        deployments = client.AppsV1Api(api).list_namespaced_deployment(NAMESPACE).items
        services = client.CoreV1Api(api).list_namespaced_service(NAMESPACE).items
    return [
        Row(item.metadata.name, "Deployment", _url(item, services), _readiness(item))
        for item in sorted(deployments, key=lambda item: str(item.metadata.name))
    ]


def _url(deployment: Any, services: list[Any]) -> str:
    labels = deployment.spec.template.metadata.labels or {}
    for service in services:
        selector = service.spec.selector or {}
        if selector and selector.items() <= labels.items():
            return f"http://{service.spec.cluster_ip}:{service.spec.ports[0].port}"
    return ""


def _readiness(deployment: Any) -> str:
    return f"{deployment.status.ready_replicas or 0}/{deployment.spec.replicas} ready"
