"""What the platform consists of, where each part is, and how it is."""

from __future__ import annotations

from pathlib import Path

from scripts.local.cloud.running import Addresses
from scripts.local.kubernetes.status import Row, workloads
from scripts.local.platform.layout import Layout, Record

NAMESPACE = "platform"


class NotDeployed(RuntimeError):
    """A service is not on the cluster."""


def rows(layout: Layout) -> list[Row]:
    """Every part that was started, then every workload; empty when there is no platform."""
    record = layout.record()
    if record is None:
        return []
    urls = {**record.urls, "cloud": Addresses.load(Path(record.cloud)).endpoint}
    found = [
        Row(name, record.kinds.get(name, "Kubernetes"), urls.get(name, ""), "running" if part.process() else "ended")
        for name, part in layout.running().items()
    ]
    if any(row.name == "kube-apiserver" and row.ok for row in found):
        found += workloads(Path(record.kubeconfig), NAMESPACE)
    return found


def service_url(record: Record, service: str, namespace: str = NAMESPACE) -> str:
    """The base URL of a service's API. Raises NotDeployed when the namespace has none."""
    for row in workloads(Path(record.kubeconfig), namespace):
        if row.name == f"{service}-api" and row.url:
            return row.url
    raise NotDeployed(f"the platform has no {service} API yet; finish `make up` and look at `eventctl local status`")
