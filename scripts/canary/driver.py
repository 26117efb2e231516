"""The steps of a canary: take the lease, make its pods, shift visitors, judge, and promote it or take it back.

While it runs, a thread holds the lease; when this process dies, nobody does, and the function of the stack takes the
canary back. The rule is read again at each look: one that is not as it was left was changed by another, who wins.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from components.canary_spec import CANARY, STABLE, CanarySpec, shares
from scripts.canary.lease import Lease, Lost, State
from scripts.canary.pods import Pods
from scripts.canary.route import Route
from scripts.canary.verdict import Figures, Verdict, judge

# Seconds, whatever the pace: pods start as fast as they do. A changed rule is there for everybody after a few.
_CAPACITY, SETTLES, _LOOK = 300.0, 15.0, 2.0
_WHOLE = 1000
# What people may wish while it runs.
_WISHES = {"pause": {"paused": True}, "resume": {"paused": False}, "promote": {"promoting": True}}
Say = Callable[[str], None]


class Outcome(StrEnum):
    """How a canary ended; LEFT is one that goes on elsewhere."""

    PROMOTED = "promoted"
    TAKEN_BACK = "taken back"
    LEFT = "left to another"


class Bad(RuntimeError):
    """The canary is to be taken back; the message says why."""


class Audit(Protocol):
    """Takes a line for each step."""

    def __call__(self, event: str, **more: Any) -> None:
        """Keep it."""


class Driver:
    """``figures`` reads what both releases did since a moment; ``release`` makes a digest everybody's.

    ``pace`` of the state divides the seconds of steps, so that a rehearsal is short.
    """

    def __init__(
        self,
        spec: CanarySpec,
        *,
        lease: Lease,
        route: Route,
        pods: Pods,
        figures: Callable[[datetime], Mapping[str, Figures]],
        release: Callable[[str, Say], None],
        audit: Audit,
        say: Say,
        ttl: timedelta,
    ) -> None:
        self._spec, self._lease, self._route, self._pods = spec, lease, route, pods
        self._figures, self._release, self._audit, self._say = figures, release, audit, say
        self._ttl = ttl
        self._guard = threading.Lock()
        self._lost = ""

    def run(self, state: State) -> tuple[Outcome, str]:
        """Run a canary that is taken, from the step in which it is, to its end; returns how it ended, and why.

        Raises what keeps it from being taken back; then the function does it when the lease ends.
        """
        self._state = state
        try:
            with self._holding():
                self._prepare()
                for number in range(max(state.step, 0), len(state.steps)):
                    if self._state.promoting:
                        break
                    self._step(number)
                self._promote()
            return Outcome.PROMOTED, f"{self._spec.service} runs {state.image}"
        except Lost as lost:
            return self._after(str(lost))
        except (Bad, KeyboardInterrupt) as error:
            why = str(error) or "interrupted"
            self.take_back(why)
            return Outcome.TAKEN_BACK, why

    def take_back(self, why: str) -> None:
        """Lead everybody to the stable release, then take the canary's pods away."""
        self._say(f"taking the canary back: {why}")
        self._audit("taking back", why=why)
        self._route.stable_alone()
        if self._lease.state():  # else somebody has said already why it ended
            self._lease.end(why)
        self._clear()
        self._audit("taken back", why=why)

    def _after(self, why: str) -> tuple[Outcome, str]:
        """Somebody else has decided. Whoever ended the canary leaves its pods; whoever goes on with it needs them."""
        now = self._lease.state()
        if now and now.held and now.holder != self._state.holder:
            self._audit("left", why=why)
            return Outcome.LEFT, why
        self.take_back(why)
        return Outcome.TAKEN_BACK, why

    def _prepare(self) -> None:
        """Pods that nobody is led to: 100 to 0 at first, so that the canary's group is asked for its health."""
        if self._state.step >= 0:
            return
        self._expected = self._weigh(0)
        self._pods.delete()
        self._await(self._pods.gone, "the pods of an earlier canary are still there")
        self._pods.create(self._state.image)
        self._audit("prepared", image=self._state.image, stable=self._state.stable)

    def _step(self, number: int) -> None:
        weight, seconds = self._state.steps[number]
        self._update(step=number)
        self._capacity(math.ceil(self._pods.replicas() * weight / _WHOLE))
        self._expected = self._weigh(weight)
        began, since = time.monotonic(), datetime.now(UTC)
        self._audit("step", number=number, weights=self._expected)
        enough, deadline = seconds / self._state.pace, self._state.deadline / self._state.pace
        while True:
            self._look()
            found = self._figures(since)
            judged = judge(self._spec, found[CANARY], found[STABLE])
            passed = time.monotonic() - began
            self._say(f"step {number + 1}: {weight / 10:g} %, {passed:.0f} s, {judged.verdict}: {judged.reasons[0]}")
            if judged.verdict is Verdict.BAD:
                raise Bad("; ".join(judged.reasons))
            good = judged.verdict is Verdict.GOOD and passed >= enough and not self._state.paused
            if good or self._state.promoting:
                self._audit("passed", number=number, reasons=judged.reasons)
                return
            if judged.verdict is Verdict.HOLD and passed >= deadline and not self._state.paused:
                raise Bad(f"nothing to judge by after {deadline:.0f} s: {'; '.join(judged.reasons)}")

    def _promote(self) -> None:
        """The canary serves everybody while the stack brings the new image to API, workers and saga alike."""
        self._update(promoting=True)
        self._capacity(self._pods.replicas())
        self._expected = self._weigh(_WHOLE - 1)
        self._audit("promoting", weights=self._expected)
        self._say("the canary serves everybody; the stack gets the new image")
        self._release(self._state.image, self._say)
        self._await(
            lambda: self._healthy(STABLE, self._pods.replicas()), "the stable release is not healthy with the new image"
        )
        self._look()
        self._route.stable_alone()
        with self._guard:
            self._lease.end("promoted")
        self._clear()
        self._audit("promoted", image=self._state.image)

    def _clear(self) -> None:
        """The canary's pods, once the change of the rule is there for everybody."""
        time.sleep(SETTLES)
        self._pods.delete()

    def _capacity(self, pods: int) -> None:
        """Enough pods of the canary, healthy to the balancer. Raises Bad when they do not come."""
        wanted = max(1, pods)
        self._pods.scale(wanted)
        self._say(f"waiting for {wanted} healthy pods of the canary")
        self._await(lambda: self._healthy(CANARY, wanted), "the canary's pods do not become healthy")

    def _healthy(self, track: str, wanted: int) -> bool:
        healthy, known = self._route.healthy(track)
        return healthy >= wanted and healthy == known

    def _weigh(self, canary: int) -> Mapping[str, int]:
        self._route.share(canary)
        return shares(canary)

    def _await(self, condition: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + _CAPACITY
        while not condition():
            if time.monotonic() > deadline:
                raise Bad(f"{otherwise}, after {_CAPACITY:.0f} s")
            self._check()
            time.sleep(1)

    def _look(self) -> None:
        """Wait for a moment, hear what people wish, and see that all is as it was left. Raises Lost and Bad."""
        time.sleep(_LOOK / min(self._state.pace, 2.0))
        self._check()
        if (wish := self._lease.wished()) in _WISHES:
            self._update(**_WISHES[wish])
            self._audit("told", wish=wish)
        if (now := self._route.weights()) != self._expected:
            raise Lost(f"the rule has weights {now}, not {dict(self._expected)}: {self._lease.text()}")

    def _check(self) -> None:
        if self._lost:
            raise Lost(self._lost)

    def _update(self, **changes: Any) -> None:
        with self._guard:
            self._state = self._lease.hold(replace(self._state, **changes))

    @contextmanager
    def _holding(self) -> Iterator[None]:
        """Hold the lease for the length of a block, four times as often as it would end."""
        over = threading.Event()

        def hold() -> None:
            while not over.wait(self._ttl.total_seconds() / 4):
                try:
                    with self._guard:
                        if over.is_set():
                            return
                        self._state = self._lease.hold(self._state)
                except Lost as lost:
                    self._lost = str(lost)
                    return
                except (BotoCoreError, ClientError) as error:
                    self._say(f"the lease could not be held, trying again: {error}")

        thread = threading.Thread(target=hold, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
