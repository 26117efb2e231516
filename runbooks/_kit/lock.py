"""One run of a runbook in an environment at a time: a parameter that says who, and until when.

This is the one place that knows the name and the form of ``/ENVIRONMENT/runbooks/NAME/lock``. While it is held, the
alarms that lead to the runbook are somebody's work already, and need not wake anybody.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from runbooks._kit.model import Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """Who holds it. ``until`` is ISO 8601; after that anybody may take it over. ``token`` is this run's alone."""

    who: str
    ticket: str
    run: str
    since: str
    until: str
    token: str

    def held(self, now: datetime) -> bool:
        """Whether its time is not over yet."""
        return datetime.fromisoformat(self.until) > now


def name(environment: str, runbook: str) -> str:
    """The parameter of a runbook's lock."""
    return f"/{environment}/runbooks/{runbook}/lock"


def holder(ssm: Any, environment: str, runbook: str) -> Lock | None:
    """Who is at work with ``runbook`` now, or None: also when the time of a lock that was left behind is over."""
    found = _read(ssm, name(environment, runbook))
    return found if found and found.held(datetime.now(UTC)) else None


@contextmanager
def holding(
    ssm: Any, environment: str, runbook: str, *, who: str, ticket: str, run: str, until: datetime
) -> Iterator[Lock | None]:
    """Hold the lock for the length of a block; gives the expired lock that was taken over, if there was one.

    Raises Refused when somebody else holds it.
    """
    parameter = name(environment, runbook)
    mine = Lock(
        who=who,
        ticket=ticket,
        run=run,
        since=datetime.now(UTC).isoformat(timespec="seconds"),
        until=until.isoformat(timespec="seconds"),
        token=uuid.uuid4().hex,
    )
    before = _take(ssm, parameter, mine)
    try:
        yield before
    finally:
        found = _read(ssm, parameter)
        # When one's time is over, it is no longer one's own to remove: somebody may be about to take it over.
        if found and found.token == mine.token and found.held(datetime.now(UTC)):
            ssm.delete_parameter(Name=parameter)


def _take(ssm: Any, parameter: str, mine: Lock) -> Lock | None:
    """Returns the expired lock in whose place it was taken. Raises Refused."""
    if _create(ssm, parameter, mine):
        return None
    before = _read(ssm, parameter)
    if before is None:
        # Released this moment; whoever comes first has it.
        return _take(ssm, parameter, mine)
    if before.held(datetime.now(UTC)):
        raise _taken(parameter, before)
    # Parameters know no compare and swap, but only one of all who would take over this very lock can make the claim.
    claim = f"{parameter}-{before.token}"
    if not _create(ssm, claim, mine):
        raise _taken(parameter, _read(ssm, claim) or before)
    try:
        now = _read(ssm, parameter)
        if now and now.token == before.token:
            ssm.delete_parameter(Name=parameter)
        if not _create(ssm, parameter, mine):
            raise _taken(parameter, _read(ssm, parameter) or before)
    finally:
        ssm.delete_parameter(Name=claim)
    return before


def _taken(parameter: str, by: Lock) -> Refused:
    return Refused(
        f"{by.who} runs this since {by.since}, until {by.until} at the latest (ticket {by.ticket}): talk to them. If "
        f"that run is dead, wait until then, or `aws ssm delete-parameter --name {parameter}`"
    )


def _create(ssm: Any, parameter: str, lock: Lock) -> bool:
    """Whether there was none."""
    try:
        ssm.put_parameter(Name=parameter, Value=json.dumps(asdict(lock), sort_keys=True), Type="String")
    except ssm.exceptions.ParameterAlreadyExists:
        return False
    return True


def _read(ssm: Any, parameter: str) -> Lock | None:
    try:
        return Lock(**json.loads(ssm.get_parameter(Name=parameter)["Parameter"]["Value"]))
    except ssm.exceptions.ParameterNotFound:
        return None
