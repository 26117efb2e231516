"""Alerts of Prometheus: what our own processes count, when it must not be so; each with a severity and a runbook."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from components.severity import Severity

# Alertmanager groups and silences by it; convention of Prometheus, "Alerting: Naming".
_NAME = re.compile(r"[A-Z][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """When ``expr`` (PromQL) has been true for ``minutes``; ``runbook`` is the stem of a file in ``runbooks/``."""

    name: str
    says: str
    expr: str
    minutes: int
    severity: Severity
    runbook: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"alert {self.name!r} has no name for an alert; use words in capitals: QueueStalled")
        if self.minutes < 0:
            raise ValueError(f"alert {self.name} waits for {self.minutes} minutes; give 0 or more")


def groups(alerts: Sequence[Alert], *, runbooks: str) -> list[dict[str, Any]]:
    """One Prometheus rule group of ``alerts``. ``runbooks`` is the address below which runbooks are read."""
    return [
        {
            "name": "platform",
            "rules": [
                {
                    **rule(each.name, each.expr, each.severity, each.says, f"{runbooks}/{each.runbook}.md"),
                    "for": f"{each.minutes}m",
                }
                for each in alerts
            ],
        }
    ]


def rule(name: str, expr: str, severity: Severity, says: str, runbook_url: str, **labels: str) -> dict[str, Any]:
    """An alerting rule as every alert of the platform is: who is told, how soon, and where it says what to do."""
    return {
        "alert": name,
        "expr": expr,
        # Who works with a runbook silences what leads to it (runbooks/_kit/silence.py).
        "labels": {**labels, "severity": str(severity), "owner": "on-call", "runbook": PurePosixPath(runbook_url).stem},
        "annotations": {"summary": says, "runbook_url": runbook_url},
    }
