"""What a run leaves behind, in a folder of its own that only its owner may read: the plan, the audit, the snapshots.

The plan is what a person read in the dry run; its id is a digest of all of it, so that what was read is what is done.
The audit has a line for every step, written before anything else happens; it is the journal, too, from which an
interrupted run goes on and a rollback goes back.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from runbooks._kit.model import Action, Refused

_ID_LENGTH = 12


def default_root() -> Path:
    """Where evidence is kept: XDG_STATE_HOME, or what it stands for."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "event-platform" / "runbooks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a dry run showed. ``place`` is account, Region, environment; ``left`` counts actions beyond the cap."""

    runbook: str
    place: tuple[str, str, str]
    options: Mapping[str, Any]
    at: str
    findings: Sequence[Mapping[str, Any]]
    actions: Sequence[Action]
    left: int

    @property
    def id(self) -> str:
        """What ``--confirm`` takes."""
        return hashlib.sha256(canonical(asdict(self)).encode()).hexdigest()[:_ID_LENGTH]


def canonical(value: Any) -> str:
    """JSON in one form only, so that equal values are equal texts. A secret never becomes text."""
    return json.dumps(value, sort_keys=True, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} {value!r} cannot be written down; use text, numbers, lists and mappings")


class Evidence:
    """The folder of one plan."""

    def __init__(self, folder: Path, masked: Callable[[str], str]) -> None:
        self.folder, self._masked = folder, masked
        self.common: dict[str, Any] = {}
        """What every line of the audit says: who, where, the ticket."""

    @classmethod
    def write(cls, root: Path, plan: Plan, masked: Callable[[str], str]) -> Evidence:
        """Keep what a dry run showed."""
        evidence = cls(root / plan.place[2] / plan.runbook / plan.id, masked)
        evidence.folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        evidence._append("plan.json", canonical(asdict(plan)))
        return evidence

    @classmethod
    def open(
        cls, root: Path, environment: str, runbook: str, plan_id: str, masked: Callable[[str], str]
    ) -> tuple[Evidence, Plan]:
        """What was kept of the plan called ``plan_id``. Raises Refused when there is none, or when it was changed."""
        folder = root / environment / runbook / plan_id
        try:
            found = json.loads((folder / "plan.json").read_text())
        except (OSError, ValueError) as error:
            raise Refused(
                f"no dry run of {runbook} in {environment} has the id {plan_id!r} in {root}: run it without --apply, "
                "read what it would do, and confirm the id that it shows"
            ) from error
        actions = [Action(**action) for action in found.pop("actions")]
        plan = Plan(**{**found, "place": tuple(found["place"])}, actions=actions)
        if plan.id != plan_id:
            raise Refused(f"{folder / 'plan.json'} is not what the dry run {plan_id} wrote: make a new dry run")
        return cls(folder, masked), plan

    def audit(self, event: str, action: Action | None = None, **more: Any) -> None:
        """Add a line, and see it on the disk before going on."""
        about = (
            {"action": action.id, "what": action.what, "before": action.before, "after": action.after} if action else {}
        )
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._append("audit.jsonl", canonical({"at": now, **self.common, "event": event, **about, **more}))

    def snapshot(self, action: Action, value: Any) -> None:
        """Keep what ``action`` is about to overwrite; the first one stays, for it is the state before."""
        if not self._snapshot(action).exists():
            self._append(self._snapshot(action).name, canonical(value))

    def kept(self, action: Action) -> Any:
        """The snapshot of ``action``, None where there is none."""
        file = self._snapshot(action)
        return json.loads(file.read_text()) if file.exists() else None

    def _snapshot(self, action: Action) -> Path:
        return self.folder / f"before-{hashlib.sha256(action.id.encode()).hexdigest()[:_ID_LENGTH]}.json"

    def done(self) -> dict[str, Mapping[str, Any]]:
        """Actions that are done and were not taken back, by id, oldest first, with what they answered."""
        found: dict[str, Mapping[str, Any]] = {}
        for line in self._lines():
            if line["event"] in ("done", "undone"):
                found.pop(line["action"], None)
            if line["event"] == "done":
                found[line["action"]] = line["result"]
        return found

    def last(self) -> datetime | None:
        """When the audit was last written to."""
        lines = self._lines()
        return datetime.fromisoformat(lines[-1]["at"]) if lines else None

    def _lines(self) -> list[dict[str, Any]]:
        file = self.folder / "audit.jsonl"
        # A line that a crash cut short is no JSON; whether its action happened is found out by looking again.
        return [line for text in (file.read_text().splitlines() if file.exists() else ()) if (line := _parsed(text))]

    def _append(self, file: str, text: str) -> None:
        append(self.folder / file, self._masked(text))


def append(file: Path, line: str) -> None:
    """Add a line that only the owner may read, and see it on the disk; one that a crash cut short stays by itself."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "a+") as opened:
        whole = file.read_text()
        opened.write(("" if whole.endswith("\n") or not whole else "\n") + line + "\n")
        opened.flush()
        os.fsync(opened.fileno())


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(text)
    except ValueError:
        return None
    return found
