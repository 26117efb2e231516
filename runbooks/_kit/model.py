"""The words of a runbook: what was found, what is to be done, what holds afterwards, and how it ended."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from runbooks._kit.target import Target


class Exit(IntEnum):
    """How a run ended; the number is the exit code of the process."""

    DONE = 0
    FAILED = 1
    REFUSED = 2
    PARTIAL = 4


class Refused(Exception):
    """Nothing was changed, because something is not as it must be; the message says what, the rule and the remedy."""


class Stop(Exception):
    """Raised by an action when going on would do harm: what was done stays, the rest is left."""


@dataclass(frozen=True, slots=True)
class Table:
    """A part of what was found, for people and for scripts. Values are texts, numbers or None."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]

    def as_dict(self) -> dict[str, Any]:
        """The rows by the names of their columns."""
        return {"title": self.title, "rows": [dict(zip(self.columns, row, strict=True)) for row in self.rows]}


class Findings(Protocol):
    """What ``check`` found: a frozen value of the runbook's own that can be shown."""

    def tables(self) -> Sequence[Table]:
        """What a person has to read before anything is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One change, as plain data: it is shown, written down, compared with what is true later, and carried out.

    ``id`` names the change and whatever it would be wrong to confuse it with (a process id and when it started).
    ``no_undo`` says why it cannot be taken back; empty when ``Runbook.undo`` can.
    """

    id: str
    what: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    no_undo: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """Something that has to hold once all is done."""

    name: str
    ok: bool
    detail: str = ""


F = TypeVar("F", bound=Findings)


class Runbook(ABC, Generic[F]):
    """What the author of a runbook writes. A subclass is a frozen dataclass: its fields are its options.

    The first paragraph of its docstring is shown in lists. Everything else belongs to the kit: who and where, the dry
    run, the confirmation, lock, audit, caps, deadline, resuming and the exit code.
    """

    aws: ClassVar[frozenset[str]] = frozenset()
    """IAM actions that it needs besides the kit's (``target.AWS``); the incident role holds them all."""
    cap: ClassVar[int] = 10
    """Actions in one run; what is beyond is left for the next."""
    pause: ClassVar[float] = 0.0
    """Seconds between two actions."""
    minutes: ClassVar[float] = 15
    """After so many no further action begins."""

    @classmethod
    def name(cls) -> str:
        """The file's: also that of the document beside it, and of the lock."""
        return Path(inspect.getfile(cls)).stem

    def options(self) -> dict[str, Any]:
        """The options as they were given; they are part of what is confirmed."""
        assert fields(self)  # type: ignore[arg-type]
        return asdict(self)  # type: ignore[call-overload, no-any-return]

    @abstractmethod
    def check(self, target: Target) -> F:
        """Look, and change nothing."""

    @abstractmethod
    def plan(self, findings: F) -> Sequence[Action]:
        """What to do about it, most urgent first; nothing when nothing is to be done. A pure function."""

    @abstractmethod
    def do(self, target: Target, action: Action) -> Mapping[str, Any]:
        """Carry ``action`` out; safe to repeat. Returns what ``undo`` and the audit need to know, without secrets."""

    @abstractmethod
    def verify(self, target: Target) -> Sequence[Check]:
        """Whether all is well now; may wait for it."""

    def watch(self, target: Target, findings: F, done: Sequence[Action]) -> None:
        """Called before each action but the first, with what was found before any and those that are done.

        Raises Stop when going on would do harm.
        """

    def snapshot(self, target: Target, action: Action) -> Any:
        """What ``action`` is about to overwrite, where ``before`` is not all of it: kept in the evidence."""
        return None

    def undo(self, target: Target, action: Action, result: Mapping[str, Any], snapshot: Any) -> None:
        """Take ``action`` back, from what ``do`` returned and ``snapshot`` kept; safe to repeat."""
        raise NotImplementedError(f"{self.name()}: an action without no_undo needs an undo()")
