"""What an environment watches: alarms put themselves on the board, and its dashboard is drawn from it."""

from __future__ import annotations

from dataclasses import dataclass, field

import pulumi
from pulumi_aws import cloudwatch


@dataclass(frozen=True, slots=True)
class Watched:
    """An alarm of a component."""

    component: str
    title: str
    arn: str
    runbook: str

    @property
    def region(self) -> str:
        """Where the alarm is: those of CloudFront are in a Region of its own."""
        return self.arn.split(":")[3]


@dataclass(frozen=True, slots=True)
class Board:
    """What an environment watches, in the order in which it was made."""

    alarms: list[pulumi.Output[Watched]] = field(default_factory=list)

    def add(self, alarm: cloudwatch.MetricAlarm, name: str, runbook: str, parent: pulumi.Resource | None) -> None:
        """Show ``alarm`` in the row of ``parent``."""
        self.alarms.append(
            pulumi.Output.all(alarm.arn, parent.urn if parent else name).apply(
                lambda known: Watched(known[1].rsplit("::", 1)[-1], name, known[0], runbook)
            )
        )
