"""What ends a canary: an alarm on its errors, one on its slowness, one on its health, and one that is any of them.

The last is a composite alarm: it alone calls the function that takes the canary back. All look at the canary's target
group only. The stable group has alarms of its own, because a service that is ill ends no canary by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws import cloudwatch

from components.alarm import alarm
from components.canary_spec import CANARY, STABLE, CanarySpec, error_rate
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
    canary = [_errors(name, watched, context, opts), *_others(name, watched, context, opts)]
    ending = cloudwatch.CompositeAlarm(
        name,
        # EventBridge and people refer to it by name.
        alarm_name=f"{context.environment}-{name}",
        alarm_description=f"The canary of {watched.spec.service} is bad and is taken back. "
        f"Runbook: runbooks/{_RUNBOOK}.md",
        alarm_rule=pulumi.Output.all(*(each.name for each in canary)).apply(any_of),
        alarm_actions=[page],
        ok_actions=[page],
        tags=_tags(name, context, Severity.PAGE),
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=canary)),
    )
    return ending.arn


def _errors(name: str, watched: Watched, context: Context, opts: pulumi.ResourceOptions) -> cloudwatch.MetricAlarm:
    limits = watched.spec.limits
    ticket = context.topic(Severity.TICKET, f"the canary's alarm {name!r}")
    queries: Any = error_rate(limits, watched.dimensions(CANARY))
    return cloudwatch.MetricAlarm(
        f"{name}-errors",
        alarm_description=f"{watched.spec.service}: the canary answers more than {limits.error_percent} % of its "
        f"requests with errors. Runbook: runbooks/{_RUNBOOK}.md",
        metric_queries=queries,
        evaluation_periods=_PERIODS,
        datapoints_to_alarm=_PERIODS,
        comparison_operator="GreaterThanThreshold",
        threshold=limits.error_percent,
        treat_missing_data="notBreaching",
        alarm_actions=[ticket],
        ok_actions=[ticket],
        tags=_tags(name, context, Severity.TICKET),
        opts=opts,
    )


def _others(
    name: str, watched: Watched, context: Context, opts: pulumi.ResourceOptions
) -> list[cloudwatch.MetricAlarm]:
    """The parts of the composite alarm that the helper makes; the stable side's own alarm is not among them."""
    service, limits = watched.spec.service, watched.spec.limits
    made = {}
    for role, says, runbook, metric, statistic, track, above, severity in (
        (
            "slow",
            "one in a hundred answers of the canary takes too long.",
            "canary_abort",
            "TargetResponseTime",
            "p99",
            CANARY,
            limits.p99_seconds,
            Severity.TICKET,
        ),
        (
            "unhealthy",
            "pods of the canary do not answer for their health.",
            "canary_abort",
            "UnHealthyHostCount",
            "Maximum",
            CANARY,
            0,
            Severity.TICKET,
        ),
        (
            "stable-unhealthy",
            "pods that serve everybody do not answer for their health.",
            "edge_errors",
            "UnHealthyHostCount",
            "Minimum",
            STABLE,
            0,
            Severity.PAGE,
        ),
    ):
        made[role] = alarm(
            f"{name}-{role}",
            context=context,
            says=f"{service}: {says}",
            runbook=runbook,
            namespace="AWS/ApplicationELB",
            metric=metric,
            dimensions=watched.dimensions(track),
            statistic=statistic,
            periods=_PERIODS if track == CANARY else 5,
            above=above,
            severity=severity,
            opts=opts,
        )
    return [found for role, found in made.items() if not role.startswith(STABLE)]


def _tags(name: str, context: Context, severity: Severity) -> dict[str, str]:
    return {**context.tags(name), "Runbook": _RUNBOOK, "Severity": severity}
