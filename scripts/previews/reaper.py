"""Which previews are due, and what belongs to none: decided by one pure function, so that a dry run tells the truth.

It compares what is known (records) with what is there (stacks, tags) and with the pull requests that are open. It never
touches one whose destroy failed: that is told, until somebody who mended the reason takes it down.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from scripts.deployment import Failed, Say
from scripts.previews import life
from scripts.previews.home import Home, NotTakenBack
from scripts.previews.records import Record, State

# As long as making one may take: meanwhile it has a record and no stack.
_MAKING = timedelta(hours=1)


class Kind(StrEnum):
    """``DOWN`` is done; ``TOLD`` is for a person."""

    DOWN = "down"
    TOLD = "told"


@dataclass(frozen=True, slots=True)
class Action:
    """What the reaper does about one preview, and why."""

    kind: Kind
    name: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What there is: records, names that have a stack, resources by the tag of a preview, open pull requests.

    ``open`` is None when nobody can say.
    """

    records: Sequence[Record]
    stacks: Collection[str]
    tagged: Mapping[str, int]
    open: Collection[int] | None


def look(home: Home, open_requests: Collection[int] | None) -> Sight:
    """What there is now."""
    return Sight(records=home.records.all(), stacks=home.stacks(), tagged=home.tagged(), open=open_requests)


def plan(sight: Sight, *, now: datetime, most: int) -> list[Action]:
    """What to do: the due ones, then those beyond ``most``, oldest activity first, then what is for a person."""
    due = {record.name: why for record in sight.records if (why := _due(record, sight, now))}
    staying = [record for record in sight.records if record.name not in due and record.state is not State.STUCK]
    spare = sorted((record for record in staying if not record.kept), key=lambda record: record.active)
    for record in spare[: max(0, len(staying) - most)]:
        due[record.name] = f"{len(staying)} previews are up, {most} may be; nobody used it since {_at(record.active)}"
    told = [Action(Kind.TOLD, name, why) for name, why in sorted(_left_over(sight, now))]
    return [*(Action(Kind.DOWN, name, why) for name, why in due.items()), *told]


def act(home: Home, actions: Sequence[Action], say: Say) -> dict[str, str]:
    """Do what ``plan`` said, one after the other; returns what failed, by name: the others are done all the same."""
    failed = {}
    for action in actions:
        if action.kind is Kind.DOWN:
            try:
                life.down(home, action.name, say)
            except (Failed, NotTakenBack) as error:
                failed[action.name] = str(error)
    return failed


def reap(
    home: Home, open_requests: Collection[int] | None, *, most: int, apply: bool, say: Say
) -> tuple[list[Action], dict[str, str]]:
    """What is to do, and with ``apply`` what failed of it."""
    actions = plan(look(home, open_requests), now=datetime.now(UTC), most=most)
    return actions, act(home, actions, say) if apply else {}


def _due(record: Record, sight: Sight, now: datetime) -> str:
    """Why it goes now; empty when it stays."""
    if record.kept or record.state is State.STUCK or record.name not in sight.stacks:
        return ""
    if sight.open is not None and record.pull_request is not None and record.pull_request not in sight.open:
        return f"pull request {record.pull_request} is closed"
    return f"its time was over at {_at(record.expires)}" if record.expires <= now else ""


def _left_over(sight: Sight, now: datetime) -> set[tuple[str, str]]:
    known = {record.name: record for record in sight.records}
    retry = "once that is mended, `eventctl preview down {} --apply` tries again"
    found = {
        (record.name, f"its destroy failed: {record.reason}; {retry.format(record.name)}")
        for record in sight.records
        if record.state is State.STUCK
    }
    found |= {(name, "a stack without a record") for name in set(sight.stacks) - set(known)}
    found |= {
        (name, "a record without a stack")
        for name, record in known.items()
        if name not in sight.stacks and record.state is not State.STUCK and record.active + _MAKING <= now
    }
    return found | {
        (name, f"{count} resources have its tag, and it has no stack")
        for name, count in sight.tagged.items()
        if name not in sight.stacks and name not in known
    }


def _at(moment: datetime) -> str:
    return moment.isoformat(timespec="minutes")
