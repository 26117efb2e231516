"""A runbook on the bench: run as the command runs it, with what it tells and what it wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from runbooks._kit.engine import Engine, Report, Terms
from runbooks._kit.model import Runbook
from tests.runbooks.environment import Environment

TERMS = Terms(ticket="OPS-1", minutes=5)


def after(actions: int) -> Callable[[], bool]:
    """Answers yes once it was asked more often than that: an interruption in the middle."""
    asked = iter(range(actions))
    return lambda: next(asked, None) is None


def outcomes(report: Report) -> dict[str, str]:
    """What became of each action, by its id."""
    return {each["id"]: each["outcome"] for each in report.actions}


@dataclass(frozen=True)
class Bench:
    """A runbook, an environment and a folder for evidence."""

    runbook: Runbook[Any]
    environment: Environment
    folder: Path

    def __post_init__(self) -> None:
        self.environment.alarm(self.runbook.name())

    def given(self, **options: Any) -> Bench:
        """The same with other options."""
        return replace(self, runbook=replace(self.runbook, **options))  # type: ignore[type-var]

    def engine(self, *, cap: int | None = None) -> Engine:
        return Engine(self.runbook, self.environment.target(), self.folder, cap=cap)

    def planned(self) -> str:
        """The id of a dry run."""
        return self.engine().dry_run().id

    def applied(self, plan_id: str | None = None, terms: Terms = TERMS) -> Report:
        """Apply a plan, by default that of a dry run of this moment."""
        return self.engine().apply(plan_id or self.planned(), terms)

    def interrupted(self, plan_id: str, *, after_actions: int = 1) -> Report:
        return self.applied(plan_id, replace(TERMS, stopping=after(after_actions)))

    def audit(self, plan_id: str) -> list[dict[str, Any]]:
        """The lines of a run's audit."""
        file = self.folder / self.environment.name / self.runbook.name() / plan_id / "audit.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()]
