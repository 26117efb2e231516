"""`python -m runbooks.dead_letter_redrive`: letters that could not be worked on, back to work or out of the way."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from runbooks import _kit as kit
from runbooks._kit.messages import Message, Queue
from runbooks._kit.rabbitmq import Broker
from runbooks._kit.sqs import SqsQueue
from runbooks._kit.target import settled

_DEAD = ".dead"
# The header of a letter that was put back to work: when.
_MARK = "redriven-at"
# What the broker writes of a death; a letter that is put back to work starts anew.
_OF_DEATH = ("x-death", "x-first-death-", "x-last-death-", "x-delivery-count", "x-acquired-count")
# What becomes of a letter.
REDRIVE, PARK, LEAVE = "redrive", "park", "leave"
_RETURNED = "dead again after a redrive"
# By what the broker says of a death (RabbitMQ, "Dead Letter Exchanges").
_DEATHS = {
    "delivery_limit": (REDRIVE, "its consumer failed again and again"),
    "rejected": (PARK, "its consumer could not read it"),
    "expired": (PARK, "too old to be of use"),
}


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter of ``queue``, and what is to become of it, for what reason."""

    queue: str
    message: Message
    fate: str
    reason: str


@dataclass(frozen=True, slots=True)
class Found:
    """The letters of the queues that were looked at, and how many each holds: more than are looked at, perhaps."""

    letters: Sequence[Letter]
    depths: Mapping[str, int]

    def tables(self) -> list[kit.Table]:
        groups = Counter((each.queue, each.fate, each.reason) for each in self.letters)
        rows = [(*group, count) for group, count in sorted(groups.items())]
        return [
            kit.Table("dead letters", ("queue", "letters"), sorted(self.depths.items())),
            kit.Table("by fate", ("queue", "fate", "reason", "letters"), rows),
        ]


@dataclass(frozen=True, slots=True)
class Box:
    """A dead-letter queue, and where its letters are worked on."""

    name: str
    dead: Queue
    to: Queue


@dataclass(frozen=True, kw_only=True)
class DeadLetterRedrive(kit.Runbook[Found]):
    """Put dead letters back to work, slowly, and what can never be worked on out of the way.

    A letter is sent, confirmed, and only then removed: a crash in between leaves it in both places, and consumers know
    what they have handled. What is parked is kept in the evidence, from where a rollback puts it back.
    """

    aws = frozenset(
        {
            *("sqs:ReceiveMessage", "sqs:ChangeMessageVisibility", "sqs:SendMessage", "sqs:DeleteMessage"),
            *("sqs:GetQueueAttributes", "states:DescribeExecution"),
        }
    )
    cap = 50
    pause = 0.2

    queue: Annotated[
        list[str], typer.Option(help="A service, for its commands, or a queue of the broker; default: all of them.")
    ] = field(default_factory=list)
    park_returned: Annotated[
        bool, typer.Option("--park-returned", help="Park what is dead again after a redrive, instead of leaving it.")
    ] = False
    patience: Annotated[float, typer.Option(min=0, help="Seconds in which no letter may come back.")] = 45.0

    def check(self, target: kit.Target) -> Found:
        letters: list[Letter] = []
        depths: dict[str, int] = {}
        with self._boxes(target) as boxes:
            for box in boxes:
                depths[box.name] = box.dead.depth()
                with box.dead.taken() as messages:
                    letters += [Letter(box.name, each, *self._fate(target, box, each)) for each in messages]
        return Found(letters, depths)

    def plan(self, findings: Found) -> list[kit.Action]:
        wanted = [each for each in findings.letters if each.fate != LEAVE]
        return [
            kit.Action(
                id=f"{letter.fate} {letter.message.id} of {letter.queue}",
                what=f"{letter.fate} {letter.message.id} of {letter.queue}: {letter.reason}",
                before={"queue": letter.queue, "letter": letter.message.id, "fate": letter.fate},
                after={"in": letter.queue if letter.fate == REDRIVE else "the evidence"},
                no_undo="what cannot be worked on comes back by itself" if letter.fate == REDRIVE else "",
            )
            # Back to work first: somebody waits for these.
            for letter in sorted(wanted, key=lambda each: each.fate != REDRIVE)
        ]

    def watch(self, target: kit.Target, findings: Found, done: Sequence[kit.Action]) -> None:
        moved = Counter(action.before["queue"] for action in done)
        with self._boxes(target) as boxes:
            for box in boxes:
                expected = findings.depths[box.name] - moved[box.name]
                if (depth := box.dead.depth()) > expected:
                    raise kit.Stop(f"{box.name} has {depth} dead letters and not {expected}: it grows, mend the cause")

    def snapshot(self, target: kit.Target, action: kit.Action) -> Any:
        if action.before["fate"] == REDRIVE:
            return None
        with self._letter(target, action) as (_, message):
            return message.portable() if message else None

    def do(self, target: kit.Target, action: kit.Action) -> Mapping[str, Any]:
        with self._letter(target, action) as (box, message):
            if message is None:
                return {"found": False}
            if action.before["fate"] == REDRIVE:
                box.to.send(_fresh(message))
            box.dead.remove(message)
        return {"found": True}

    def undo(self, target: kit.Target, action: kit.Action, result: Mapping[str, Any], snapshot: Any) -> None:
        if not result["found"] or snapshot is None:
            return
        kept = Message.restored(snapshot)
        with self._letter(target, action) as (box, message):
            if message is None:
                box.dead.send(kept)

    def verify(self, target: kit.Target) -> list[kit.Check]:
        found = settled(lambda: self.check(target), lambda found: bool(found.letters), seconds=self.patience, every=5)
        left = Counter(f"{each.queue}: {each.reason}" for each in found.letters)
        told = ", ".join(f"{count} of {what}" for what, count in left.items())
        return [kit.Check("no letter is left or comes back", not left, told)]

    @contextmanager
    def _boxes(self, target: kit.Target) -> Iterator[list[Box]]:
        """Those that were chosen. Raises Refused for a name that is none."""
        known = target.operations
        sqs = target.client("sqs")
        boxes = [
            Box(service, SqsQueue(sqs, dead), SqsQueue(sqs, known.queue_urls[service]))
            for service, dead in sorted(known.dead_letter_urls.items())
        ]
        with ExitStack() as stack:
            if not self.queue or set(self.queue) - set(known.dead_letter_urls):
                broker = stack.enter_context(Broker.connected(target))
                boxes += [
                    Box(name.removesuffix(_DEAD), broker.queue(name), broker.queue(name.removesuffix(_DEAD)))
                    for name in broker.queues()
                    if name.endswith(_DEAD)
                ]
            names = [box.name for box in boxes]
            if unknown := set(self.queue) - set(names):
                raise kit.Refused(
                    f"no dead letters belong to {', '.join(sorted(unknown))}; queues are {', '.join(names)}"
                )
            yield [box for box in boxes if not self.queue or box.name in self.queue]

    @contextmanager
    def _letter(self, target: kit.Target, action: kit.Action) -> Iterator[tuple[Box, Message | None]]:
        """The letter that ``action`` is about, taken; None when it is gone."""
        queue, letter = action.before["queue"], action.before["letter"]
        with replace(self, queue=[queue])._boxes(target) as [box], box.dead.taken(letter) as messages:
            yield box, next((each for each in messages if each.id == letter), None)

    def _fate(self, target: kit.Target, box: Box, message: Message) -> tuple[str, str]:
        fate, reason = _of_command(target, message) if isinstance(box.dead, SqsQueue) else _of_event(message)
        if fate == REDRIVE and _MARK in message.headers:
            return PARK if self.park_returned else LEAVE, _RETURNED
        return fate, reason


def _of_event(message: Message) -> tuple[str, str]:
    deaths = message.headers.get("x-death") or [{}]
    return _DEATHS.get(deaths[0].get("reason"), (LEAVE, "nothing says why it died"))


def _of_command(target: kit.Target, message: Message) -> tuple[str, str]:
    """A command is worth repeating for as long as its order's execution waits for something."""
    try:
        body = json.loads(message.body)
        execution, _, _ = body["executionArn"], body["command"], body["taskToken"]
    except (ValueError, KeyError, TypeError):
        return PARK, "not a command"
    machine = target.client("stepfunctions")
    try:
        status = machine.describe_execution(executionArn=execution)["status"]
    except (machine.exceptions.ExecutionDoesNotExist, machine.exceptions.InvalidArn):
        return PARK, "its execution is not there"
    return (REDRIVE, "its order waits") if status == "RUNNING" else (PARK, f"its order's execution is {status}")


def _fresh(message: Message) -> Message:
    """The message as it was first sent, with a note that it was put back."""
    headers = {key: value for key, value in message.headers.items() if not key.startswith(_OF_DEATH)}
    return replace(message, headers={**headers, _MARK: datetime.now(UTC).isoformat(timespec="seconds")})


app = kit.command(DeadLetterRedrive)
if __name__ == "__main__":
    app()
