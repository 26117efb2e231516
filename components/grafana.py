"""Grafana dashboards as plain data, made of what is declared elsewhere: pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from components.slo import BURNS, Objective, recorded

_SOURCE = {"type": "prometheus", "uid": "prometheus"}
# Grafana's grid is 24 columns wide.
_WIDTH, _HEIGHT = 8, 7
# The model's version that Grafana 12 writes; older models are migrated as they are loaded.
_SCHEMA = 41


def objectives_dashboard(objectives: Sequence[Objective]) -> dict[str, Any]:
    """A row an objective: how much of its budget is left, how fast it burns, how many events there were."""
    panels: list[dict[str, Any]] = []
    for number, each in enumerate(objectives):
        slo, top = f'{{slo="{each.name}"}}', number * (_HEIGHT + 1)
        limits = [rate for rate, *_ in BURNS]
        panels += [
            {
                "type": "row",
                "title": f"{each.name}: {each.says}",
                "collapsed": False,
                "gridPos": {"x": 0, "y": top, "w": 24, "h": 1},
            },
            _panel(
                "stat",
                "Budget left over 3 days",
                f"1 - {recorded('3d')}{slo} / {each.budget:g}",
                0,
                top,
                unit="percentunit",
                steps=((None, "red"), (0, "orange"), (0.5, "green")),
            ),
            _panel(
                "timeseries",
                "Burn rate, last hour",
                f"{recorded('1h')}{slo} / {each.budget:g}",
                1,
                top,
                unit="none",
                steps=((None, "green"), (min(limits), "orange"), (max(limits), "red")),
            ),
            _panel("timeseries", "Events a second", f"sum(rate({each.all}[5m]))", 2, top, unit="cps"),
        ]
    return {
        "uid": "objectives",
        "title": "Objectives",
        "tags": ["event-platform"],
        "timezone": "utc",
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "schemaVersion": _SCHEMA,
        "panels": [{"id": number, **panel} for number, panel in enumerate(panels, start=1)],
    }


def _panel(
    kind: str,
    title: str,
    query: str,
    column: int,
    top: int,
    *,
    unit: str,
    steps: Sequence[tuple[float | None, str]] = ((None, "green"),),
) -> dict[str, Any]:
    thresholds = {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in steps]}
    return {
        "type": kind,
        "title": title,
        "datasource": _SOURCE,
        "gridPos": {"x": column * _WIDTH, "y": top + 1, "w": _WIDTH, "h": _HEIGHT},
        "targets": [{"refId": "A", "datasource": _SOURCE, "expr": query}],
        "fieldConfig": {"defaults": {"unit": unit, "thresholds": thresholds}, "overrides": []},
    }
