"""The life of one pod on this node, from the moment it is bound to the moment its object is gone."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from scripts.local.kubernetes.api import STRATEGIC, Api, ApiError, Object
from scripts.local.kubernetes.node import environment, foreign, statuses, volumes
from scripts.local.kubernetes.node.addresses import Addresses
from scripts.local.kubernetes.node.container import RETRY, Container
from scripts.local.kubernetes.node.events import Recorder, now
from scripts.local.kubernetes.node.hosts import Hosts
from scripts.local.kubernetes.node.identity import Identity
from scripts.local.kubernetes.node.probes import Prober
from scripts.local.kubernetes.node.sandbox import Mount, Plan
from scripts.local.kubernetes.node.sources import MissingSource, Sources
from scripts.local.processes import tail

log = logging.getLogger(__name__)
REFRESH = 60.0  # seconds between looks for changed ConfigMaps and Secrets in volumes, the kubelet's own period
CA_BUNDLE = "/var/run/local-platform/ca.crt"  # where a container finds the local authority


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What all pods of the node share."""

    api: Api
    state: Path
    images: Path
    host: str
    capacity: Object
    words: tuple[str, ...]
    addresses: Addresses
    prober: Prober
    recorder: Recorder
    hosts: Hosts
    identity: Identity
    ca_bundle: Path | None
    service_variables: Callable[[str], Mapping[str, str]]
    readiness_changed: Callable[[], None]


class Pod:
    """One pod. `update` passes on what the API server says; `run` is its whole life."""

    def __init__(self, pod: Object, node: Node) -> None:
        self.pod, self._node = pod, node
        self.prober, self.words = node.prober, node.words
        metadata, status = pod["metadata"], pod.get("status") or {}
        self.folder = node.state / "pods" / f"{metadata['namespace']}_{metadata['name']}_{metadata['uid']}"
        self.address = ""
        self._begun = status.get("startTime") or now()
        self._before = list(status.get("conditions") or [])
        self._terminating, self._dirty = asyncio.Event(), asyncio.Event()
        self._initialised = self._init_failed = self._sandbox = False
        self._why: Object = {}
        known = {
            each["name"]: each
            for each in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
        }
        spec = pod["spec"]
        self.init = [Container(each, self, known.get(each["name"])) for each in spec.get("initContainers") or []]
        self.containers = [Container(each, self, known.get(each["name"])) for each in spec["containers"]]
        self._tasks: dict[str, asyncio.Task[int]] = {}

    @property
    def ready(self) -> bool:
        """Whether a Service may send it requests."""
        return bool(self.address) and not self._terminating.is_set() and all(c.status["ready"] for c in self.containers)

    @property
    def phase(self) -> str:
        """Its phase now."""
        policy = self.pod["spec"].get("restartPolicy", "Always")
        found = statuses.phase(
            [each.status for each in self.containers],
            policy,
            initialised=self._initialised,
            ending=bool(self._why) or self._terminating.is_set(),
            init_failed=self._init_failed,
        )
        return statuses.RUNNING if found in statuses.TERMINAL and self._alive() else found

    def update(self, pod: Object) -> None:
        """The object changed."""
        self.pod = pod
        if "deletionTimestamp" in pod["metadata"] and not self._terminating.is_set():
            self._terminating.set()
            self._node.readiness_changed()

    def gone(self) -> None:
        """The object was removed at once: so is everything that runs."""
        self._terminating.set()
        for container in (*self.init, *self.containers):
            if container.process:
                container.process.signal(9)

    async def run(self) -> None:
        """Live until the object is gone."""
        self.update(self.pod)
        publisher = asyncio.create_task(self._publish_changes())
        life = asyncio.create_task(self._live())
        deletion = asyncio.create_task(self._terminating.wait())
        try:
            if (self.pod.get("status") or {}).get("phase") not in statuses.TERMINAL:
                await asyncio.wait([life, deletion], return_when=asyncio.FIRST_COMPLETED)
                if life.done() and (error := life.exception()):
                    log.error("pod %s: %s", self.folder.name, error, exc_info=error)
                    self.say("FailedCreatePodSandBox", f"{type(error).__name__}: {error}", warning=True)
            else:
                life.cancel()
            await deletion
            await self.stop(float(self.pod["metadata"].get("deletionGracePeriodSeconds") or 0), "Stopping container")
            life.cancel()
            publisher.cancel()
            await self._publish()
            await self._remove()
            shutil.rmtree(
                self.folder, ignore_errors=True
            )  # not when the agent is stopped: the next one goes on with it
        finally:
            for task in (publisher, life, deletion):
                task.cancel()
            if self.address:
                self._node.addresses.release(self.address)

    async def stop(self, grace: float, reason: str) -> None:
        """End the containers, then the sidecars, each within ``grace`` seconds."""
        self._terminating.set()
        for group in (self.containers, self.init[::-1]):
            await asyncio.gather(*(container.stop(grace, f"{reason} {container.name}") for container in group))
            for task in [self._tasks[c.name] for c in group if c.name in self._tasks]:
                await asyncio.wait([task], timeout=0.5)
                task.cancel()

    def changed(self) -> None:
        """A container's status is another: publish it."""
        self._dirty.set()
        self._node.readiness_changed()

    def say(self, reason: str, message: str, *, warning: bool = False, container: str = "") -> None:
        """Record an event about this pod."""
        self._node.recorder.record(self.pod, reason, message, warning=warning, container=container)

    def log(self, container: str, restart: int) -> Path:
        """The log of one run of a container."""
        return self.folder / container / f"{restart}.log"

    async def plan(self, container: Object) -> Plan:
        """How to start ``container``. Raises MissingSource, NotPullable or NotRunLocally."""
        node, spec, security = self._node, self.pod["spec"], container.get("securityContext") or {}
        image = foreign.find(container["image"], node.images)
        identity = await node.identity.prepare(self.pod, self.folder / "identity")
        services = (
            node.service_variables(self.pod["metadata"]["namespace"]) if spec.get("enableServiceLinks", True) else {}
        )
        start = environment.base(image, self._hostname(), {**node.service_variables(""), **services})
        start |= identity.env
        mounts = [Mount(str(image.app), image.workdir, True), *identity.mounts]
        hidden = ["/tmp", "/var/tmp", str(node.state), str(node.images)]
        if node.ca_bundle:
            start["SSL_CERT_FILE"] = CA_BUNDLE
            mounts.append(Mount(str(node.ca_bundle), CA_BUNDLE, True))
        env = await environment.resolve(container, start, self._sources)
        if not security.get("readOnlyRootFilesystem"):
            scratch = self.folder / container["name"] / "tmp"
            scratch.mkdir(parents=True, exist_ok=True)
            mounts.append(Mount(str(scratch), "/tmp"))
        mounts += node.hosts.mounts(self.pod, self.address, self._hostname(), self.folder / "etc")
        mounts += volumes.mounts(container, self.pod, self.folder / "volumes", env)
        # Last, because a volume on /tmp must not cover the interpreter of a checkout below it.
        for tree in (image.python.parent.parent, Path(os.path.realpath(image.python)).parent.parent):
            if any(tree.is_relative_to(path) for path in hidden):
                mounts.append(Mount(str(tree), str(tree), True))
        root = self.folder / container["name"] / "root"
        root.mkdir(parents=True, exist_ok=True)
        return Plan(
            root=str(root.resolve()),
            mounts=mounts,
            hidden=hidden,
            hostname=self._hostname(),
            directory=environment.directory(container, image),
            command=environment.command(container, env),
            env=env,
            drop_capabilities="ALL" in ((security.get("capabilities") or {}).get("drop") or []),
            no_new_privileges=security.get("allowPrivilegeEscalation") is False,
        )

    async def _live(self) -> None:
        if not self._all_ours():
            await asyncio.Event().wait()
        self.address = self._node.addresses.take((self.pod.get("status") or {}).get("podIP"))
        self._sources = Sources(self._node.api, self.pod, self.address, self._node.host, self._node.capacity)
        await self._volumes()
        self._sandbox = True
        self.changed()
        refreshing = asyncio.create_task(self._refresh())
        try:
            async with asyncio.timeout(self.pod["spec"].get("activeDeadlineSeconds")):
                await self._containers()
        except TimeoutError:
            self._why = {
                "reason": "DeadlineExceeded",
                "message": "Pod was active longer than its activeDeadlineSeconds",
            }
            await self.stop(self.pod["spec"].get("terminationGracePeriodSeconds", 30), "Deadline exceeded: stopping")
        finally:
            refreshing.cancel()
        self.changed()

    async def _containers(self) -> None:
        policy = self.pod["spec"].get("restartPolicy", "Always")
        for container in self.init:
            if container.spec.get("restartPolicy") == "Always":
                self._start(container, "Always")
                await container.until_started()
            elif await self._start(container, "Never" if policy == "Never" else "OnFailure"):
                self._init_failed = True
                return
        self._initialised = True
        for container in self.containers:
            if "waiting" in container.status["state"]:
                container.status["state"] = {"waiting": {"reason": "ContainerCreating"}}
        self.changed()
        await asyncio.gather(*(self._start(container, policy) for container in self.containers))
        for sidecar in self.init[::-1]:
            await sidecar.stop(self.pod["spec"].get("terminationGracePeriodSeconds", 30), "Stopping sidecar")

    def _start(self, container: Container, policy: str) -> asyncio.Task[int]:
        task = self._tasks[container.name] = asyncio.create_task(container.run(policy))
        return task

    def _alive(self) -> bool:
        return any(each.process and not each.process.ended for each in (*self.init, *self.containers))

    def _all_ours(self) -> bool:
        """Whether every image may run here; if not, the pod waits for ever and says why, honestly."""
        found = True
        for container in (*self.init, *self.containers):
            try:
                foreign.find(container.spec["image"], self._node.images)
            except foreign.NotRunLocally as reason:
                container.status["state"] = {"waiting": {"reason": "NotRunLocally", "message": str(reason)}}
                self.say("NotRunLocally", str(reason), container=container.name)
                found = False
            except foreign.NotPullable:
                pass  # the container itself says so, and tries again
        if not found:
            self.changed()
        return found

    async def _volumes(self) -> None:
        said = ""
        while True:
            try:
                return await volumes.prepare(self.folder / "volumes", self._sources)
            except MissingSource as missing:
                if said != str(missing):
                    self.say("FailedMount", f"MountVolume.SetUp failed: {missing}", warning=True)
                    for container in (*self.init, *self.containers):
                        container.status["state"] = {
                            "waiting": {"reason": "ContainerCreating", "message": str(missing)}
                        }
                    self.changed()
                said = str(missing)
                await asyncio.sleep(RETRY)

    async def _refresh(self) -> None:
        while any(kind in volume for volume in self.pod["spec"].get("volumes") or [] for kind in volumes.PROJECTIONS):
            await asyncio.sleep(REFRESH)
            with suppress(MissingSource, httpx.HTTPError, ApiError):
                await volumes.prepare(self.folder / "volumes", self._sources)

    def _hostname(self) -> str:
        return str(self.pod["spec"].get("hostname") or self.pod["metadata"]["name"])[:63]

    async def _publish_changes(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            await self._publish()

    async def _publish(self) -> None:
        metadata, phase = self.pod["metadata"], self.phase
        for container in self.containers:
            self._add_message(container)
        init = [each.status for each in self.init]
        containers = [each.status for each in self.containers]
        held = statuses.verdicts(
            containers, init, phase=phase, sandbox=self._sandbox, initialised=self._initialised or not init
        )
        self._before = statuses.conditions(self._before, now(), held)
        status = {
            **{"phase": phase, "conditions": self._before, "startTime": self._begun, "hostIP": self._node.host},
            **{"hostIPs": [{"ip": self._node.host}], "containerStatuses": containers, "initContainerStatuses": init},
            **({"podIP": self.address, "podIPs": [{"ip": self.address}]} if self.address else {}),
            **self._why,
        }
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/status"
        body = {"metadata": {"uid": metadata["uid"]}, "status": status}
        try:
            await self._node.api.patch(path, body, content_type=STRATEGIC)
        except ApiError as error:
            if error.status not in (404, 409):
                log.error("status of %s: %s", metadata["name"], error)
        except httpx.HTTPError as error:
            log.warning("status of %s: %s; trying again", metadata["name"], error or type(error).__name__)
            await asyncio.sleep(1)
            self._dirty.set()

    def _add_message(self, container: Container) -> None:
        ended = container.terminated
        if ended and ended["exitCode"] and container.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            ended.setdefault("message", tail(self.log(container.name, container.status["restartCount"]), 80)[-2048:])

    async def _remove(self) -> None:
        metadata = self.pod["metadata"]
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}}
        for _ in range(10):
            try:
                await self._node.api.delete(
                    f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}", options
                )
                return
            except ApiError as error:
                if error.status in (404, 409):
                    return
                log.error("deleting pod %s: %s", metadata["name"], error)
            except httpx.HTTPError as error:
                log.warning("deleting pod %s: %s; trying again", metadata["name"], error or type(error).__name__)
            await asyncio.sleep(1)
