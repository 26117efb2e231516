"""The life of one container: start, probes, hooks, restarts with back-off, and an orderly end."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from scripts.local.kubernetes.api import Object
from scripts.local.kubernetes.node import probes
from scripts.local.kubernetes.node.events import now
from scripts.local.kubernetes.node.foreign import NotPullable, NotRunLocally
from scripts.local.kubernetes.node.sandbox import Plan, Process
from scripts.local.kubernetes.node.sources import MissingSource

# The kubelet waits 10 s, doubling to 5 min, and forgets after 10 min: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
# A developer does not wait that long, so the local node is ten and thirty times faster.
BACKOFF = (1.0, 2.0, 4.0, 8.0, 10.0)  # seconds before the second restart, the third, …; the first is immediate
FORGET = 60.0  # seconds of running after which the back-off starts over
RETRY = 2.0  # seconds between looks for a missing image, Secret or ConfigMap


class Host(Protocol):
    """What a container needs from its pod."""

    pod: Object
    address: str
    prober: probes.Prober
    words: tuple[str, ...]

    async def plan(self, container: Object) -> Plan:
        """How to start it. Raises MissingSource, NotPullable or NotRunLocally."""

    def log(self, container: str, restart: int) -> Path:
        """Where its output goes."""

    def changed(self) -> None:
        """Its status is another."""

    def say(self, reason: str, message: str, *, warning: bool = False, container: str = "") -> None:
        """Record an event."""


class Container:
    """One container of one pod; ``status`` is what the pod's status shows."""

    def __init__(self, spec: Object, host: Host, before: Object | None) -> None:
        """``before`` is the status that an earlier agent left, None for a new pod."""
        self.spec, self._host = spec, host
        self.name = str(spec["name"])
        self.process: Process | None = None
        self._stopping = False
        self._healthy = asyncio.Event()
        self._killer: asyncio.Task[None] | None = None
        self.status: Object = {
            "name": self.name,
            "image": spec["image"],
            "imageID": "",
            "ready": False,
            "started": False,
            "restartCount": 0,
            "state": {"waiting": {"reason": "PodInitializing"}},
            "lastState": {},
        }
        if before:
            self._adopt(before)

    @property
    def started(self) -> bool:
        """Whether it runs and has passed its startup probe."""
        return bool(self.status["started"])

    @property
    def terminated(self) -> Object | None:
        """How it ended, None while it has not."""
        return self.status["state"].get("terminated")  # type: ignore[no-any-return]

    async def until_started(self) -> None:
        """Return once it has passed its startup probe."""
        await self._healthy.wait()

    async def run(self, policy: str) -> int:
        """Run it, again and again as ``policy`` (Always, OnFailure, Never) says; returns the last exit code."""
        attempt = 0
        if self.terminated and not _again(policy, self.terminated["exitCode"]):
            return int(self.terminated["exitCode"])
        while True:
            plan = await self._planned()
            began = time.monotonic()
            code = await self._once(plan)
            if self._stopping or not _again(policy, code):
                return code
            attempt = 0 if time.monotonic() - began > FORGET else attempt + 1
            if attempt > 1:
                delay = BACKOFF[min(attempt - 2, len(BACKOFF) - 1)]
                message = f"back-off {delay:g}s restarting failed container {self.name}"
                self._host.say("BackOff", message, warning=True, container=self.name)
                self.status["lastState"] = self.status["state"]
                self._wait("CrashLoopBackOff", message)
                await asyncio.sleep(delay)
            self.status["restartCount"] += 1

    async def stop(self, grace: float, reason: str) -> None:
        """PreStop hook, SIGTERM, and SIGKILL after ``grace`` seconds in all; returns when the process is gone."""
        self._stopping = True
        await self._end(grace, reason)

    async def _end(self, grace: float, reason: str) -> None:
        process = self.process
        if process is None or process.ended:
            return
        self._host.say("Killing", reason, container=self.name)
        deadline = time.monotonic() + grace
        if (hook := (self.spec.get("lifecycle") or {}).get("preStop")) and grace > 0:
            try:
                await self._host.prober.act(hook, self.spec, process, self._host.address, grace)
            except probes.Failed as failed:
                self._host.say("FailedPreStopHook", str(failed), warning=True, container=self.name)
        process.signal(signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(max(deadline - time.monotonic(), 0)):
                await process.wait()
                return
        process.signal(signal.SIGKILL)
        await process.wait()

    async def _planned(self) -> Plan:
        """The plan, as soon as everything that it needs is there."""
        said = ""
        while True:
            try:
                return await self._host.plan(self.spec)
            except NotRunLocally as foreign:
                self._wait("NotRunLocally", str(foreign))
                await asyncio.Event().wait()
            except (MissingSource, NotPullable) as missing:
                pull = isinstance(missing, NotPullable)
                first, later = ("ErrImagePull", "ImagePullBackOff") if pull else ("CreateContainerConfigError",) * 2
                self._wait(later if said else first, str(missing))
                if said != str(missing):
                    self._host.say("Failed", f"Error: {missing}", warning=True, container=self.name)
                said = str(missing)
            await asyncio.sleep(RETRY)

    async def _once(self, plan: Plan) -> int:
        began, count = now(), self.status["restartCount"]
        log = self._host.log(self.name, count)
        # As the kubelet does, the log of this run and of the one before are kept.
        self._host.log(self.name, count - 2).unlink(missing_ok=True)
        process = self.process = await Process.start(plan, log, self._host.words)
        if "waiting" not in self.status["state"]:
            self.status["lastState"] = self.status["state"]
        digest = self.spec["image"].partition("@")[2]
        self.status |= {"imageID": self.spec["image"], "containerID": f"process://{digest[7:19]}-{process.pid}"}
        self.status["state"] = {"running": {"startedAt": began}}
        self._host.say("Started", f"Started container {self.name}", container=self.name)
        tasks = [asyncio.create_task(self._observe(process))]
        try:
            code = await process.wait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self._healthy.clear()
        self.status["state"] = {
            "terminated": {
                "exitCode": code,
                "reason": "Completed" if code == 0 else "Error",
                "startedAt": began,
                "finishedAt": now(),
                "containerID": self.status["containerID"],
                **({"signal": code - 128} if code > 128 else {}),
            }
        }
        self._show(ready=False, started=False)
        return code

    async def _observe(self, process: Process) -> None:
        """postStart, then the startup probe, then liveness and readiness side by side."""
        if hook := (self.spec.get("lifecycle") or {}).get("postStart"):
            try:
                await self._host.prober.act(hook, self.spec, process, self._host.address, 60)
            except probes.Failed as failed:
                self._host.say("FailedPostStartHook", str(failed), warning=True, container=self.name)
                self._kill("FailedPostStartHook", {})
                return
        if probe := self.spec.get("startupProbe"):
            passed = asyncio.Event()
            await _first(self._probe(probe, process, self._startup(probe, passed)), passed.wait())
        self._show(ready=not self.spec.get("readinessProbe"), started=True)
        self._healthy.set()
        running = []
        if probe := self.spec.get("livenessProbe"):
            running.append(self._probe(probe, process, self._liveness(probe)))
        if probe := self.spec.get("readinessProbe"):
            running.append(self._probe(probe, process, self._readiness))
        await asyncio.gather(*running)

    def _probe(self, probe: Object, process: Process, verdict: Callable[[bool, str], None]) -> Awaitable[None]:
        def attempt() -> Awaitable[None]:
            limit = probe.get("timeoutSeconds", 1)
            return self._host.prober.act(probe, self.spec, process, self._host.address, limit)

        return probes.watch(probe, attempt, verdict)

    def _startup(self, probe: Object, passed: asyncio.Event) -> Callable[[bool, str], None]:
        def verdict(passes: bool, error: str) -> None:
            if passes:
                passed.set()
            else:
                self._unhealthy("Startup", error)
                self._kill(f"Container {self.name} failed startup probe, will be restarted", probe)

        return verdict

    def _liveness(self, probe: Object) -> Callable[[bool, str], None]:
        def verdict(passes: bool, error: str) -> None:
            if not passes:
                self._unhealthy("Liveness", error)
                self._kill(f"Container {self.name} failed liveness probe, will be restarted", probe)

        return verdict

    def _readiness(self, passes: bool, error: str) -> None:
        if not passes:
            self._unhealthy("Readiness", error)
        self._show(ready=passes, started=True)

    def _unhealthy(self, kind: str, error: str) -> None:
        self._host.say("Unhealthy", f"{kind} probe failed: {error}", warning=True, container=self.name)

    def _kill(self, reason: str, probe: Object) -> None:
        """End this process so that the restart policy decides; once, however often the probe fails meanwhile."""
        if self._killer is None or self._killer.done():
            grace = probe.get(
                "terminationGracePeriodSeconds", self._host.pod["spec"].get("terminationGracePeriodSeconds", 30)
            )
            self._killer = asyncio.create_task(self._end(grace, reason))

    def _wait(self, reason: str, message: str) -> None:
        state = {"waiting": {"reason": reason, "message": message}}
        if self.status["state"] != state:
            self.status["state"] = state
            self._show(ready=False, started=False)

    def _show(self, *, ready: bool, started: bool) -> None:
        before = dict(self.status)
        self.status |= {"ready": ready, "started": started}
        if before != self.status or not ready:
            self._host.changed()

    def _adopt(self, before: Object) -> None:
        """Go on from what an earlier agent left: what ran then ended with that agent."""
        self.status |= {key: before[key] for key in ("restartCount", "lastState", "state") if key in before}
        if running := self.status["state"].pop("running", None):
            self.status["restartCount"] += 1
            lost = {"exitCode": 137, "reason": "ContainerStatusUnknown", "finishedAt": now(), **running}
            lost["message"] = "The container could not be located when the local node was started again"
            self.status["state"] = {"terminated": lost}


def _again(policy: str, code: int) -> bool:
    return policy == "Always" or (policy == "OnFailure" and code != 0)


async def _first(*running: Awaitable[object]) -> None:
    """Return when the first of them ends; the others are cancelled."""
    tasks = [asyncio.ensure_future(each) for each in running]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
