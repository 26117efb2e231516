"""Restart the workloads that read a Secret which changed, as stakater's reloader does.

Only those that carry the annotation ``reloader.stakater.com/auto: "true"``; the restart is a rolling one, begun by an
annotation of the pod template, and a Secret that has just been created restarts nobody.
"""

from __future__ import annotations

from collections.abc import Iterator

from scripts.local.kubernetes.api import STRATEGIC, Api, Object

AUTO = "reloader.stakater.com/auto"
MARK = "reloader.stakater.com/last-reloaded-from"
PLURALS = ("deployments", "statefulsets", "daemonsets")


async def restart_readers(api: Api, namespace: str, secret: str, fingerprint: str) -> list[str]:
    """Begin a rolling restart of each; ``fingerprint`` stands for the Secret's content. Returns their names."""
    restarted = []
    for plural in PLURALS:
        path = f"/apis/apps/v1/namespaces/{namespace}/{plural}"
        for workload in (await api.get(path)).get("items") or []:
            metadata = workload["metadata"]
            if (metadata.get("annotations") or {}).get(AUTO) == "true" and secret in read_by(
                workload["spec"]["template"]
            ):
                mark = {"metadata": {"annotations": {MARK: f"{secret}@{fingerprint}"}}}
                body = {"spec": {"template": mark}}
                await api.patch(f"{path}/{metadata['name']}", body, content_type=STRATEGIC, fieldManager="reloader")
                restarted.append(f"{plural}/{metadata['name']}")
    return restarted


def read_by(template: Object) -> set[str]:
    """The Secrets that a pod template refers to."""
    return set(_references(template["spec"]))


def _references(spec: Object) -> Iterator[str]:
    for container in (*(spec.get("initContainers") or []), *spec.get("containers", [])):
        for entry in container.get("envFrom") or []:
            if reference := entry.get("secretRef"):
                yield reference["name"]
        for variable in container.get("env") or []:
            if reference := (variable.get("valueFrom") or {}).get("secretKeyRef"):
                yield reference["name"]
    for volume in spec.get("volumes") or []:
        parts = [volume, *((volume.get("projected") or {}).get("sources") or [])]
        for secret in [part["secret"] for part in parts if "secret" in part]:
            yield secret.get("secretName") or secret["name"]
