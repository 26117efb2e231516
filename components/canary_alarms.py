"""What ends a canary: an alarm on its errors, one on its slowness, one on its health, and one that is any of them.

The last is a composite alarm: it alone calls the function that takes the canary back. A service that is ill as a whole
ends no canary: the stable group has an alarm of its own, and slowness counts while that group is not as slow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws import cloudwatch

from components.alarm import alarm
from components.canary_spec import CANARY, STABLE, CanarySpec, error_rate, slowest
from components.context import Context
from components.severity import Severity

_RUNBOOK = "canary_abort"
_PERIODS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """``balancer`` and ``groups`` are the ends of ARNs by which CloudWatch knows them."""

    spec: CanarySpec
    balancer: pulumi.Input[str]
    groups: Mapping[str, pulumi.Input[str]]

    def dimensions(self, track: str) -> dict[str, pulumi.Input[str]]:
        return {"LoadBalancer": self.balancer, "TargetGroup": self.groups[track]}


def any_of(names: list[str]) -> str:
    """The rule of a composite alarm that is any of these."""
    return " OR ".join(f'ALARM("{name}")' for name in names)


def make(name: str, watched: Watched, *, context: Context, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    """All alarms of a canary and of its service's stable side; returns the ARN of the one that ends the canary."""
    page = context.topic(Severity.PAGE, f"the canary's alarm {name!r}")
    service, limits = watched.spec.service, watched.spec.limits
    canary, stable = watched.dimensions(CANARY), watched.dimensions(STABLE)
    errors = f"{service}: the canary answers more than {limits.error_percent} % of its requests with errors."
    slow = f"{service}: one in a hundred answers of the canary takes too long."
    ends_it = [
        _math(name, "errors", errors, error_rate(limits, canary), limits.error_percent, context, opts),
        _math(name, "slow", slow, slowest(limits, canary, stable), limits.p99_seconds, context, opts),
        _unhealthy(name, watched, context, opts)[CANARY],
    ]
    ending = cloudwatch.CompositeAlarm(
        name,
        # EventBridge and people refer to it by name.
        alarm_name=f"{context.environment}-{name}",
        alarm_description=f"The canary of {service} is bad and is taken back. Runbook: runbooks/{_RUNBOOK}.md",
        alarm_rule=pulumi.Output.all(*(each.name for each in ends_it)).apply(any_of),
        alarm_actions=[page],
        ok_actions=[page],
        tags=_tags(name, context, Severity.PAGE),
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=ends_it)),
    )
    return ending.arn


def _math(
    name: str, role: str, says: str, queries: Any, threshold: float, context: Context, opts: pulumi.ResourceOptions
) -> cloudwatch.MetricAlarm:
    """An alarm on what is computed of several metrics."""
    ticket = context.topic(Severity.TICKET, f"the canary's alarm {name!r}")
    return cloudwatch.MetricAlarm(
        f"{name}-{role}",
        alarm_description=f"{says} Runbook: runbooks/{_RUNBOOK}.md",
        metric_queries=queries,
        evaluation_periods=_PERIODS,
        datapoints_to_alarm=_PERIODS,
        comparison_operator="GreaterThanThreshold",
        threshold=threshold,
        treat_missing_data="notBreaching",
        alarm_actions=[ticket],
        ok_actions=[ticket],
        tags=_tags(name, context, Severity.TICKET),
        opts=opts,
    )


def _unhealthy(
    name: str, watched: Watched, context: Context, opts: pulumi.ResourceOptions
) -> dict[str, cloudwatch.MetricAlarm]:
    """An alarm on the health of each track's pods: whoever serves everybody wakes somebody, and takes its time."""
    made = {}
    for track, role, pods, runbook, statistic, periods, severity in (
        (CANARY, "", "pods of the canary", "canary_abort", "Maximum", _PERIODS, Severity.TICKET),
        (STABLE, "-stable", "pods that serve everybody", "edge_errors", "Minimum", 5, Severity.PAGE),
    ):
        made[track] = alarm(
            f"{name}{role}-unhealthy",
            context=context,
            says=f"{watched.spec.service}: {pods} do not answer for their health.",
            runbook=runbook,
            namespace="AWS/ApplicationELB",
            metric="UnHealthyHostCount",
            dimensions=watched.dimensions(track),
            statistic=statistic,
            periods=periods,
            above=0,
            severity=severity,
            opts=opts,
        )
    return made


def _tags(name: str, context: Context, severity: Severity) -> dict[str, str]:
    return {**context.tags(name), "Runbook": _RUNBOOK, "Severity": severity}
