"""How local Kubernetes is: rows for a table, and the logs of pods."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from scripts.local.kubernetes.api import Api, ApiError, Object
from scripts.local.kubernetes.cluster import Cluster


@dataclass(frozen=True, slots=True)
class Row:
    """One line of `eventctl local status`."""

    name: str
    kind: str
    url: str
    state: str


def status(cluster: Cluster) -> list[Row]:
    """The API server, the node, and every workload and Service outside of kube-system."""
    return asyncio.run(_status(cluster))


def pod_logs(kubeconfig: Path, namespace: str, name: str, *, tail: int | None = None) -> Iterator[tuple[str, str]]:
    """Pod and container (``pod/container``) with the text of its log, of every pod whose name starts with ``name``."""

    async def read() -> list[tuple[str, str]]:
        found = []
        query = {"tailLines": tail} if tail is not None else {}
        async with Api(kubeconfig) as api:
            path = f"/api/v1/namespaces/{namespace}/pods"
            for pod in (await api.get(path))["items"]:
                if not pod["metadata"]["name"].startswith(name):
                    continue
                for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]:
                    word = f"{pod['metadata']['name']}/{container['name']}"
                    try:
                        text = await api.get(
                            f"{path}/{pod['metadata']['name']}/log", container=container["name"], **query
                        )
                    except ApiError as error:
                        text = f"({error})"
                    found.append((word, str(text)))
        return found

    yield from asyncio.run(read())


async def _status(cluster: Cluster) -> list[Row]:
    server = cluster.plane.url
    async with Api(cluster.plane.kubeconfig()) as api:
        try:
            await api.get("/readyz")
        except (ApiError, httpx.HTTPError) as error:
            return [Row("kubernetes", "control plane", server, f"down: {error or type(error).__name__}")]
        rows = [Row("kubernetes", "control plane", server, "ready")]
        for node in (await api.get("/api/v1/nodes"))["items"]:
            rows.append(Row(f"node/{node['metadata']['name']}", "local node", "", _node(node)))
        services = (await api.get("/api/v1/services"))["items"]
        for plural, path in (
            ("deployment", "/apis/apps/v1/deployments"),
            ("statefulset", "/apis/apps/v1/statefulsets"),
            ("job", "/apis/batch/v1/jobs"),
        ):
            pods = (await api.get("/api/v1/pods"))["items"]
            for workload in (await api.get(path))["items"]:
                metadata = workload["metadata"]
                name = f"{metadata['namespace']}/{metadata['name']}"
                rows.append(Row(name, plural, _url(workload, services), _workload(workload, pods)))
    return rows


def _node(node: Object) -> str:
    conditions = node["status"].get("conditions", [])
    ready: Object = next((each for each in conditions if each["type"] == "Ready"), {})
    return "ready" if ready.get("status") == "True" else f"not ready: {ready.get('message', 'no heartbeat')}"


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
