"""How the workloads of a namespace are: rows for a table."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.local.kubernetes.api import Api, Object

_KINDS = {"Deployment": "/apis/apps/v1", "StatefulSet": "/apis/apps/v1", "Job": "/apis/batch/v1"}
# What counts as well: a finished Job, and a workload of which it is known that it does not run here.
_WELL = ("running", "ready", "succeeded", "not run here")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of `eventctl local status`."""

    name: str
    kind: str
    url: str
    state: str

    @property
    def ok(self) -> bool:
        return self.state.startswith(_WELL)


def workloads(kubeconfig: Path, namespace: str) -> list[Row]:
    """Every Deployment, StatefulSet and Job, with the URL of the Service in front of it. Raises ApiError."""

    async def look() -> list[Row]:
        async with Api(kubeconfig) as api:
            within = f"/namespaces/{namespace}"
            services = (await api.get(f"/api/v1{within}/services"))["items"]
            pods = (await api.get(f"/api/v1{within}/pods"))["items"]
            return [
                Row(item["metadata"]["name"], kind, _url(item, services), _workload(item, pods))
                for kind, group in _KINDS.items()
                for item in (await api.get(f"{group}{within}/{kind.lower()}s"))["items"]
            ]

    return asyncio.run(look())


def _workload(workload: Object, pods: list[Object]) -> str:
    status, spec = workload.get("status") or {}, workload["spec"]
    if "completions" in spec or "backoffLimit" in spec:
        failed = any(each["type"] == "Failed" and each["status"] == "True" for each in status.get("conditions") or [])
        return "failed" if failed else "succeeded" if status.get("succeeded") else "running"
    ready, wanted = status.get("readyReplicas", 0), spec.get("replicas", 1)
    if ready == wanted:
        return f"ready ({ready}/{wanted})"
    reasons = {reason for pod in pods if _owned(pod, workload) for reason in _waiting(pod)}
    if "NotRunLocally" in reasons:
        return "not run here"
    return f"not ready ({ready}/{wanted}){': ' + ', '.join(sorted(reasons)) if reasons else ''}"


def _owned(pod: Object, workload: Object) -> bool:
    labels = pod["metadata"].get("labels") or {}
    selector = workload["spec"]["selector"].get("matchLabels") or {}
    same = pod["metadata"]["namespace"] == workload["metadata"]["namespace"]
    return same and all(labels.get(key) == value for key, value in selector.items())


def _waiting(pod: Object) -> Iterator[str]:
    for container in (pod.get("status") or {}).get("containerStatuses") or []:
        if reason := (container["state"].get("waiting") or {}).get("reason"):
            yield reason


def _url(workload: Object, services: list[Object]) -> str:
    """The Service in front of a workload, as this machine reaches it."""
    labels = workload["spec"]["template"]["metadata"].get("labels") or {}
    for service in services:
        selector = service["spec"].get("selector") or {}
        same = service["metadata"]["namespace"] == workload["metadata"]["namespace"]
        if same and selector and all(labels.get(key) == value for key, value in selector.items()):
            address = service["spec"].get("clusterIP")
            if address not in (None, "", "None"):
                return f"http://{address}:{service['spec']['ports'][0]['port']}"
    return ""
