"""When an object is as asked, and what to say when it is not in time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from scripts.local.kubernetes.api import Api, ApiError, Object
from scripts.local.kubernetes.provider.objects import SKIP_AWAIT

log = logging.getLogger(__name__)
TIMEOUT = 300.0  # seconds; the provider's own default is 600, for clouds that have to make a machine first
EVERY = 0.5
LINES = 15  # of a failing container's log


class NotAsAsked(Exception):
    """The object exists, but is not as asked: it failed, or the time is up."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """``done``; or ``failed`` for good; and in words what is still missing."""

    done: bool
    waits_for: str = ""
    failed: bool = False


def _condition(found: Object, kind: str) -> Object:
    conditions = (found.get("status") or {}).get("conditions") or []
    return next((each for each in conditions if each["type"] == kind), {})


def _deployment(found: Object) -> Verdict:
    status, wanted = found.get("status") or {}, found["spec"].get("replicas", 1)
    progress = _condition(found, "Progressing")
    if progress.get("reason") == "ProgressDeadlineExceeded":
        return Verdict(False, progress["message"], failed=True)
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    seen = status.get("observedGeneration", 0) >= found["metadata"]["generation"]
    done = seen and updated == available == wanted == status.get("replicas", 0)
    return Verdict(
        done or bool(found["spec"].get("paused")), f"{available} of {wanted} replicas available, {updated} updated"
    )


def _stateful_set(found: Object) -> Verdict:
    status, wanted = found.get("status") or {}, found["spec"].get("replicas", 1)
    seen = status.get("observedGeneration", 0) >= found["metadata"]["generation"]
    same = status.get("currentRevision") == status.get("updateRevision")
    return Verdict(
        seen and same and status.get("readyReplicas", 0) == wanted,
        f"{status.get('readyReplicas', 0)} of {wanted} ready",
    )


def _daemon_set(found: Object) -> Verdict:
    status = found.get("status") or {}
    wanted, ready = status.get("desiredNumberScheduled", 0), status.get("numberReady", 0)
    seen = status.get("observedGeneration", 0) >= found["metadata"]["generation"]
    done = seen and ready == status.get("updatedNumberScheduled", 0) == wanted
    return Verdict(done, f"{ready} of {wanted} ready")


def _job(found: Object) -> Verdict:
    failed = _condition(found, "Failed")
    if failed.get("status") == "True":
        return Verdict(False, f"{failed.get('reason')}: {failed.get('message')}", failed=True)
    return Verdict(_condition(found, "Complete").get("status") == "True", "the Job is not complete")


def _pod(found: Object) -> Verdict:
    phase = (found.get("status") or {}).get("phase")
    if phase == "Failed":
        return Verdict(False, "the pod failed", failed=True)
    return Verdict(phase == "Succeeded" or _condition(found, "Ready").get("status") == "True", f"the pod is {phase}")


def _namespace(found: Object) -> Verdict:
    return Verdict((found.get("status") or {}).get("phase") == "Active", "the namespace is not active")


def _definition(found: Object) -> Verdict:
    return Verdict(_condition(found, "Established").get("status") == "True", "the definition is not served yet")


_RULES: dict[str, Callable[[Object], Verdict]] = {
    "CustomResourceDefinition": _definition,
    "DaemonSet": _daemon_set,
    "Deployment": _deployment,
    "Job": _job,
    "Namespace": _namespace,
    "Pod": _pod,
    "StatefulSet": _stateful_set,
}
# Kinds that the real provider waits for and that nothing local brings about.
_NOBODY = {
    "PersistentVolumeClaim": "it is bound when a pod with a place claims it",
    "Ingress": "no load balancer runs locally, so the Ingress gets no address",
}


async def until_ready(api: Api, path: str, found: Object, timeout: float) -> Object:
    """The object, once it is as asked. Raises NotAsAsked with events and the last log lines of what failed."""
    kind, metadata = found["kind"], found["metadata"]
    if (metadata.get("annotations") or {}).get(SKIP_AWAIT) == "true":
        return found
    if kind in _NOBODY or (kind == "Service" and found["spec"].get("type") == "LoadBalancer"):
        log.warning("%s %s: %s", kind, metadata["name"], _NOBODY.get(kind, "no load balancer runs locally"))
    rule = _RULES.get(kind)
    verdict = Verdict(True)
    deadline = asyncio.get_running_loop().time() + (timeout or TIMEOUT)
    while rule:
        verdict = rule(found)
        if verdict.done:
            break
        pods = await _pods(api, found)
        if foreign := _foreign(pods):
            log.warning("%s %s is not run here: %s", kind, metadata["name"], foreign)
            break
        if verdict.failed or asyncio.get_running_loop().time() > deadline:
            why = verdict.waits_for if verdict.failed else f"not within {timeout or TIMEOUT:.0f} s: {verdict.waits_for}"
            raise NotAsAsked(f"{kind} {metadata['name']}: {why}{await _explain(api, pods)}")
        await asyncio.sleep(EVERY)
        found = await api.get(path)
    return found


async def until_gone(api: Api, path: str, timeout: float) -> None:
    """Return once the object is gone. Raises NotAsAsked naming the finalizers that hold it."""
    deadline = asyncio.get_running_loop().time() + (timeout or TIMEOUT)
    while (found := await api.find(path)) is not None:
        if asyncio.get_running_loop().time() > deadline:
            holders = (
                found["metadata"].get("finalizers") or (found.get("spec") or {}).get("finalizers") or ["nothing known"]
            )
            name = f"{found['kind']} {found['metadata']['name']}"
            raise NotAsAsked(f"{name} is not gone after {timeout or TIMEOUT:.0f} s; held by {holders}")
        await asyncio.sleep(0.2)


async def _pods(api: Api, found: Object) -> list[Object]:
    """The pods of a workload that are not ready: those that an explanation is about."""
    if found["kind"] == "Pod":
        return [found]
    selector = ((found.get("spec") or {}).get("selector") or {}).get("matchLabels")
    if not selector:
        return []
    labels = ",".join(f"{key}={value}" for key, value in selector.items())
    listed = await api.get(f"/api/v1/namespaces/{found['metadata']['namespace']}/pods", labelSelector=labels)
    return [{"kind": "Pod", **pod} for pod in listed["items"] if _condition(pod, "Ready").get("status") != "True"]


def _foreign(pods: list[Object]) -> str:
    """Why the pods never run here, "" when they do."""
    for pod in pods:
        ready = _condition(pod, "Ready")
        if ready.get("reason") == "NotRunLocally":
            return str(ready.get("message"))
    return ""


async def _explain(api: Api, pods: list[Object]) -> str:
    lines = []
    for pod in sorted(pods, key=lambda each: str(each["metadata"]["creationTimestamp"]))[-1:]:
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}"
        lines.append(f"\npod {metadata['name']} is {(pod.get('status') or {}).get('phase')}")
        events = await api.get(f"{path}/events", fieldSelector=f"involvedObject.uid={metadata['uid']},type=Warning")
        for event in events["items"][-5:]:
            lines.append(f"  {event['reason']} (x{event.get('count', 1)}): {event['message']}")
        status = pod.get("status") or {}
        for each in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
            if not each["ready"]:
                lines += await _container(api, f"{path}/pods/{metadata['name']}", each)
    return "\n".join(lines)


async def _container(api: Api, path: str, status: Object) -> list[str]:
    waiting = status["state"].get("waiting") or {}
    lines = [
        f"  container {status['name']}: {waiting.get('reason', 'not ready')} {waiting.get('message', '')}".rstrip()
    ]
    for previous in ("false", "true") if status["restartCount"] else ("false",):
        try:
            text = await api.get(f"{path}/log", container=status["name"], tailLines=LINES, previous=previous)
        except ApiError:
            continue
        if text:
            return [*lines, *(f"    {line}" for line in str(text).splitlines())]
    return lines
