"""The dashboard of an environment: a row for each component that watches something, drawn from its own alarms.

Nobody keeps it by hand: an alarm puts itself on the context's board as it is made, and each is drawn as its metric with
its threshold, so that what pages at night is what people look at by day.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
from pulumi_aws import cloudwatch

from components.board import Watched
from components.context import Context

# CloudWatch's grid is 24 columns wide; an alarm widget shows 100 alarms at most, a dashboard 500 widgets (CloudWatch
# API Reference, "Dashboard Body Structure and Syntax").
_WIDTH, _HEIGHT, _COLUMNS = 6, 5, 4
_MOST_IN_STATUS, _MOST_WIDGETS = 100, 500


def body(watched: Sequence[Watched]) -> dict[str, Any]:
    """The state of all alarms, then a row a component. Raises ValueError for more widgets than CloudWatch shows."""
    status = {
        "type": "alarm",
        **_at(0, 0, 24, 4),
        "properties": {"title": "Alarms", "alarms": [each.arn for each in watched[:_MOST_IN_STATUS]]},
    }
    widgets: list[Mapping[str, Any]] = [status]
    top = 4
    for component in dict.fromkeys(each.component for each in watched):
        row = [each for each in watched if each.component == component]
        widgets.append({"type": "text", **_at(0, top, 24, 1), "properties": {"markdown": f"## {component}"}})
        top += 1
        for number, each in enumerate(row):
            line, column = divmod(number, _COLUMNS)
            widgets.append(
                {
                    "type": "metric",
                    **_at(column * _WIDTH, top + line * _HEIGHT, _WIDTH, _HEIGHT),
                    "properties": {
                        "title": f"{each.title} (runbooks/{each.runbook}.md)",
                        "region": each.region,
                        "view": "timeSeries",
                        "annotations": {"alarms": [each.arn]},
                    },
                }
            )
        top += _HEIGHT * ((len(row) - 1) // _COLUMNS + 1)
    if len(widgets) > _MOST_WIDGETS:
        raise ValueError(f"the dashboard has {len(widgets)} widgets, CloudWatch shows {_MOST_WIDGETS}: split the board")
    return {"widgets": widgets}


def _at(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "width": width, "height": height}


class Dashboard(pulumi.ComponentResource):
    """The CloudWatch dashboard of everything on the context's board; made last, when the board is full."""

    def __init__(self, name: str, *, context: Context, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:observability:Dashboard", name, None, opts)
        if context.board is None or not context.board.alarms:
            raise ValueError("the board is empty; give every component a context with a board, and make this last")
        cloudwatch.Dashboard(
            name,
            # People look it up by name.
            dashboard_name=f"{context.environment}-platform",
            dashboard_body=pulumi.Output.all(*context.board.alarms).apply(
                lambda watched: json.dumps(body(watched), sort_keys=True)
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
