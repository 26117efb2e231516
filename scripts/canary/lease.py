"""Who runs a canary, until when, and how far it is: the parameter that the stack made for it.

The function that takes canaries back reads ``expires`` and nothing else (components/functions/canary_rollback.py), and
writes ``ended`` over all of it; so does a person on call (runbooks/canary_abort.py). Whoever finds it ended, or with
another holder, stops. What people wish of whoever runs it is in a parameter beside it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from runbooks._kit import lock
from runbooks._kit.model import Refused

# The one runbook that ends canaries.
RUNBOOK = "canary_abort"
# A moment in which two take the lease is shorter than this.
_CLAIM = timedelta(minutes=1)


class Lost(RuntimeError):
    """Somebody else ended the canary, or goes on with it; the message says who."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A canary under way. Times are ISO 8601; ``pace`` divides the seconds of the spec; ``steps`` are weights with
    seconds. ``holder`` is the process that runs it, ``step`` the one that it is in, -1 before the first.
    """

    run: str
    holder: str
    who: str
    service: str
    image: str
    stable: str
    began: str
    steps: tuple[tuple[int, int], ...]
    pace: float
    deadline: float
    step: int = -1
    paused: bool = False
    promoting: bool = False
    expires: str = ""

    @classmethod
    def parsed(cls, text: str) -> State | None:
        """None for a lease that is no canary's under way."""
        try:
            found = json.loads(text)
            return cls(**{**found, "steps": tuple(map(tuple, found["steps"]))})
        except (ValueError, TypeError, KeyError):
            return None

    @property
    def held(self) -> bool:
        """Whether somebody answers for it now."""
        return bool(self.expires) and datetime.fromisoformat(self.expires) > datetime.now(UTC)


class Lease:
    """The parameter ``name``, and ``NAME-wish`` beside it. ``ttl`` is how long a holder may be silent."""

    def __init__(self, ssm: Any, name: str, environment: str, ttl: timedelta) -> None:
        self._ssm, self.name, self._environment, self._ttl = ssm, name, environment, ttl

    def text(self) -> str:
        return str(self._ssm.get_parameter(Name=self.name)["Parameter"]["Value"])

    def state(self) -> State | None:
        """The canary under way, whoever holds it."""
        return State.parsed(self.text())

    def take(self, state: State) -> State:
        """Hold it from now on. Raises Refused while somebody else does, or is at work with the runbook."""
        with self._claimed():
            if worker := lock.holder(self._ssm, self._environment, RUNBOOK):
                raise Refused(f"{worker.who} ends canaries with {RUNBOOK} (ticket {worker.ticket}): talk to them")
            found = self.state()
            if found and found.held and found.run != state.run:
                raise Refused(
                    f"{found.who} runs a canary of {found.service} with {found.image} since {found.began}: `eventctl "
                    "canary status` shows it, `eventctl canary abort` ends it"
                )
            return self._write(replace(state, holder=uuid.uuid4().hex))

    def hold(self, state: State) -> State:
        """Hold it for longer, with ``state``. Raises Lost when it is no longer one's own."""
        text = self.text()
        found = State.parsed(text)
        if found is None or found.holder != state.holder:
            raise Lost(f"the canary is no longer ours: {_said(text, found)}")
        return self._write(state)

    def end(self, why: str) -> None:
        """Nobody answers for a canary from now on."""
        ended = {"ended": datetime.now(UTC).isoformat(), "why": why}
        self._ssm.put_parameter(Name=self.name, Value=json.dumps(ended, sort_keys=True), Overwrite=True)

    def wish(self, what: str) -> None:
        """Tell whoever runs the canary: pause, resume or promote."""
        self._ssm.put_parameter(Name=f"{self.name}-wish", Value=what, Type="String", Overwrite=True)

    def wished(self) -> str:
        """What was told since this was last asked; empty when nothing was."""
        try:
            found = str(self._ssm.get_parameter(Name=f"{self.name}-wish")["Parameter"]["Value"])
            self._ssm.delete_parameter(Name=f"{self.name}-wish")
        except self._ssm.exceptions.ParameterNotFound:
            return ""
        return found

    def _write(self, state: State) -> State:
        held = replace(state, expires=(datetime.now(UTC) + self._ttl).isoformat())
        self._ssm.put_parameter(Name=self.name, Value=json.dumps(asdict(held), sort_keys=True), Overwrite=True)
        return held

    @contextmanager
    def _claimed(self) -> Iterator[None]:
        """Parameters know no compare and swap, but only one can make this one."""
        claim = f"{self.name}-claim"
        try:
            self._ssm.put_parameter(Name=claim, Value="taking the lease", Type="String")
        except self._ssm.exceptions.ParameterAlreadyExists:
            made = self._ssm.get_parameter(Name=claim)["Parameter"]["LastModifiedDate"]
            if datetime.now(UTC) - made < _CLAIM:
                raise Refused(f"somebody takes {self.name} at this moment: try again in a minute") from None
        try:
            yield
        finally:
            self._ssm.delete_parameter(Name=claim)


def _said(text: str, found: State | None) -> str:
    return f"{found.who} goes on with it" if found else text
