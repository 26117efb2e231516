"""Helm releases: recorded with their values, and not installed.

Charts cannot be fetched where only package registries are reachable, and what they install does not run on the local
node. What other resources need of them is there: the namespace, and the CustomResourceDefinitions, which come from the
projects themselves (`crds`). The record is a Secret in the release's namespace, so that kubectl can read it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

from scripts.local.cloud.backend import Properties, Refused
from scripts.local.kubernetes import crds
from scripts.local.kubernetes.api import Api

log = logging.getLogger(__name__)
TYPE = "event-platform.local/recorded-release"
MANAGER = "pulumi-kubernetes"


def check(inputs: Properties) -> list[Refused]:
    """What is wrong with a release, beyond its types."""
    refusals = []
    if not inputs.get("chart"):
        refusals.append(Refused("chart", "is required: the name of the chart, or a path or URL of it"))
    if not inputs.get("version"):
        refusals.append(
            Refused("version", "is missing: a release without a pinned version installs something else tomorrow")
        )
    if not isinstance(inputs.get("values") or {}, dict):
        refusals.append(Refused("values", f"is {inputs['values']!r}, but must be a map"))
    return refusals


def path(inputs: Properties) -> str:
    """Where the record lives."""
    return f"/api/v1/namespaces/{inputs['namespace']}/secrets/{_record(inputs['name'])}"


def state(inputs: Properties, revision: int) -> Properties:
    """The outputs of a release."""
    status = {
        **{"name": inputs["name"], "namespace": inputs["namespace"], "revision": revision, "status": "deployed"},
        **{"chart": inputs["chart"], "version": inputs["version"], "appVersion": ""},
    }
    return {**inputs, "status": status, "resourceNames": {}}


async def record(api: Api, inputs: Properties, revision: int) -> Properties:
    """Write the record, after the namespace and the definitions that the chart brings."""
    if inputs.get("createNamespace"):
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": inputs["namespace"]}}
        await api.apply(f"/api/v1/namespaces/{inputs['namespace']}", body, manager="helm-namespace")
    await _definitions(api, str(inputs["chart"]))
    name = _record(inputs["name"])
    document: dict[str, Any] = {"inputs": inputs, "revision": revision}
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": TYPE,
        "metadata": {"name": name, "labels": {"owner": "helm", "name": inputs["name"], "status": "recorded"}},
        "stringData": {"release": json.dumps(document, sort_keys=True)},
    }
    await api.apply(path(inputs), body, manager=MANAGER)
    log.warning(
        "release %s (%s %s) is recorded; nothing of it runs locally", inputs["name"], inputs["chart"], inputs["version"]
    )
    return state(inputs, revision)


async def _definitions(api: Api, chart: str) -> None:
    project = chart.rstrip("/").split("/")[-1]
    if project not in crds.SOURCES:
        return
    try:
        found = await asyncio.to_thread(crds.definitions, project)
    except crds.Unavailable as error:
        log.warning("%s", error)
        return
    slots = asyncio.Semaphore(crds.PARALLEL)
    await asyncio.gather(*(crds.apply(api, each, slots) for each in found))


def _record(name: str) -> str:
    return f"sh.helm.release.local.v1.{name}"
