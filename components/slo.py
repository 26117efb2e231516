"""Service level objectives, and the alerts that say how fast the room for errors is being used up: pure functions.

An objective is declared once; recording rules, alerts and dashboards are made of it. Alerts look at two windows each:
the long one says that it matters, the short one that it goes on. Burn rates and windows are those of the Site
Reliability Workbook, chapter 5, table 5-8, for 30 days: 14.4 uses up 2 % of the budget in an hour, 1 all of it in 30
days.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from components.alert import rule
from components.severity import Severity

# Burn rate, long window, short window, what to do.
BURNS: tuple[tuple[float, str, str, Severity], ...] = (
    (14.4, "1h", "5m", Severity.PAGE),
    (6, "6h", "30m", Severity.PAGE),
    (3, "1d", "2h", Severity.TICKET),
    (1, "3d", "6h", Severity.TICKET),
)
_WINDOWS = tuple(dict.fromkeys(window for _, long, short, _ in BURNS for window in (short, long)))
_NAME = re.compile(r"[a-z][a-z0-9-]*")
# Of all requests, or better said of all of anything: below, an objective would allow every third one to fail.
_LEAST, _MOST = 0.7, 0.9999


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """``target`` is the share of events that must be good; ``good`` and ``all`` are counters in PromQL, as selectors.

    ``runbook`` is the stem of a file in ``runbooks/``.
    """

    name: str
    says: str
    target: float
    good: str
    all: str
    runbook: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"objective {self.name!r} has no name for a label; use lower case, digits and hyphens")
        if not _LEAST <= self.target <= _MOST:
            raise ValueError(
                f"objective {self.name} has target {self.target}; it is a share from {_LEAST} to {_MOST}: at 1 the "
                "first error would use up the month"
            )

    @property
    def budget(self) -> float:
        """The share that may be bad."""
        return round(1 - self.target, 6)

    def errors(self, window: str) -> str:
        """The share of bad events in ``window``, in PromQL; nothing at all is not bad, nothing good is."""
        good, every = (f"sum(increase({counter}[{window}]))" for counter in (self.good, self.all))
        # Where nothing was ever good, its series does not exist, and a division by it would say nothing.
        return f"1 - (({good} or vector(0)) / ({every} > 0))"


def recorded(window: str) -> str:
    """The series that holds an objective's share of errors over ``window``."""
    return f"slo:errors:ratio_{window}"


def rules(objectives: Sequence[Objective], *, runbooks: str) -> list[dict[str, Any]]:
    """Prometheus rule groups: one an objective. ``runbooks`` is the address below which runbooks are read."""
    return [
        {
            "name": f"slo-{each.name}",
            "rules": [
                *(
                    {"record": recorded(window), "expr": each.errors(window), "labels": {"slo": each.name}}
                    for window in _WINDOWS
                ),
                *(_alert(each, *burn, runbooks=runbooks) for burn in BURNS),
            ],
        }
        for each in objectives
    ]


def _alert(
    objective: Objective, rate: float, long: str, short: str, severity: Severity, *, runbooks: str
) -> dict[str, Any]:
    chosen = f'{{slo="{objective.name}"}}'
    limit = f"{rate:g} * {objective.budget:g}"
    return rule(
        f"ErrorBudgetBurn{rate:g}".replace(".", "_"),
        f"{recorded(long)}{chosen} > {limit} and {recorded(short)}{chosen} > {limit}",
        severity,
        f"{objective.says} The month's room for errors is used up {rate:g} times too fast.",
        f"{runbooks}/{objective.runbook}.md",
        slo=objective.name,
    )
