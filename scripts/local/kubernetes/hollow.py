"""``python -m scripts.local.kubernetes.hollow``: a node that accepts pods and runs none of them.

It is for rehearsals of environments larger than this machine. The API server validates, admits and schedules every
pod; this node then reports it as running (or, of a Job, as completed), and says in its condition that nothing ran.
(Kubernetes itself tests its control plane on such nodes: kubemark, and the kwok project.)
"""

from __future__ import annotations

import argparse
import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

import httpx

from scripts.local.kubernetes.api import STRATEGIC, Api, ApiError, Informer, Object
from scripts.local.kubernetes.control_plane import NODE
from scripts.local.kubernetes.loops import until_stopped
from scripts.local.kubernetes.node.events import now
from scripts.local.kubernetes.node.registration import Registration

log = logging.getLogger(__name__)
# As much as a large production cluster: what is asked here is whether pods fit the rules, not whether they fit a node.
CAPACITY: Mapping[str, str] = {"cpu": "500", "memory": "2000Gi", "ephemeral-storage": "20Ti", "pods": "1000"}
_SAID = "accepted and scheduled; a rehearsal runs no containers"
_CONDITIONS = ("PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready")


def status(pod: Object, host: str, when: str) -> Object:
    """What is said of a pod: running and ready or, when it is to end by itself, completed."""
    ends = pod["spec"].get("restartPolicy", "Always") != "Always"
    state = (
        {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": when, "finishedAt": when}}
        if ends
        else {"running": {"startedAt": when}}
    )

    held = {kind: not ends or kind in _CONDITIONS[:2] for kind in _CONDITIONS}
    return {
        "phase": "Succeeded" if ends else "Running",
        "startTime": when,
        "hostIP": host,
        "conditions": [
            {
                **{"type": kind, "status": str(holds), "lastTransitionTime": when, "lastProbeTime": None},
                **{"message": _SAID, **({} if holds else {"reason": "PodCompleted"})},
            }
            for kind, holds in held.items()
        ],
        "containerStatuses": [
            {
                **{"name": each["name"], "image": each["image"], "imageID": each["image"], "restartCount": 0},
                **{"ready": not ends, "started": not ends, "state": state},
            }
            for each in pod["spec"]["containers"]
        ],
    }


class Hollow:
    """The node: registered like a real one, its pods' statuses written as they come."""

    def __init__(self, kubeconfig: Path, host: str, region: str, state: Path) -> None:
        self._api, self._host, self._region, self._state = Api(kubeconfig), host, region, state
        self._work: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until cancelled."""
        self._state.mkdir(parents=True, exist_ok=True)
        registration = Registration(
            self._api, host=self._host, port=10250, capacity=dict(CAPACITY), region=self._region, state=self._state
        )
        pods = Informer(self._api, "/api/v1/pods", self._changed, fieldSelector=f"spec.nodeName={NODE}")
        async with self._api:
            await asyncio.gather(registration.run(), pods.run())

    def _changed(self, event: str, pod: Object) -> None:
        leaving = "deletionTimestamp" in pod["metadata"]
        waiting = (pod.get("status") or {}).get("phase", "Pending") == "Pending"
        if event != "DELETED" and (leaving or waiting):
            task = asyncio.create_task(self._answer(pod, leaving=leaving))
            self._work.add(task)
            task.add_done_callback(self._work.discard)

    async def _answer(self, pod: Object, *, leaving: bool) -> None:
        """Let a pod that is leaving go, report any other."""
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        try:
            if leaving:
                await self._api.delete(path, {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}})
            else:
                body = {"metadata": {"uid": metadata["uid"]}, "status": status(pod, self._host, now())}
                await self._api.patch(f"{path}/status", body, content_type=STRATEGIC)
        except ApiError as error:
            if error.status not in (404, 409):
                log.error("pod %s: %s", metadata["name"], error)
        except httpx.HTTPError as error:
            log.error("pod %s: %s", metadata["name"], error or type(error).__name__)


def main() -> None:
    """Parse the command line and run until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m scripts.local.kubernetes.hollow", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True, help="the node's own kubeconfig (group system:nodes)")
    parser.add_argument("--host", required=True, help="the node's address")
    parser.add_argument("--state", type=Path, required=True, help="a folder on the disk whose fill level is reported")
    parser.add_argument("--region", required=True, help="AWS region of the node")
    arguments = parser.parse_args()
    until_stopped(lambda: Hollow(**vars(arguments)).run())


if __name__ == "__main__":
    main()
