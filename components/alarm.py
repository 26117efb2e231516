"""A CloudWatch alarm that nobody has to guess about: it says how bad it is and which runbook mends it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import pulumi
from pulumi_aws import cloudwatch

from components.context import Context


class Severity(StrEnum):
    """How soon somebody has to act: PAGE wakes the person on call, TICKET waits for the morning."""

    PAGE = "page"
    TICKET = "ticket"


def alarm(
    name: str,
    *,
    context: Context,
    says: str,
    runbook: str,
    namespace: str,
    metric: str,
    dimensions: Mapping[str, pulumi.Input[str]],
    above: float | None = None,
    below: float | None = None,
    statistic: str = "Maximum",
    period: int = 60,
    periods: int = 5,
    severity: Severity = Severity.PAGE,
    missing_is_bad: bool = False,
    region: str | None = None,
    opts: pulumi.ResourceOptions,
) -> cloudwatch.MetricAlarm:
    """An alarm when ``metric`` is ``above`` or ``below`` a threshold for ``periods`` periods of ``period`` seconds.

    ``runbook`` is the stem of a file in ``runbooks/``; ``statistic`` may be a percentile, like ``p99``. ``region`` is
    that of the metric and of the context's topic, unless it is the environment's own. Raises ValueError unless exactly
    one threshold is given, and when the context has no topic: an alarm that tells nobody is none.
    """
    if context.alarm_topic_arn is None:
        raise ValueError(f"alarm {name!r} has no topic to go to; give its component a context with alarm_topic_arn")
    if (above is None) == (below is None):
        raise ValueError(f"alarm {name!r} has above={above} and below={below}; give exactly one of them")
    percentile = statistic.startswith("p")
    return cloudwatch.MetricAlarm(
        name,
        alarm_description=f"{says} Runbook: runbooks/{runbook}.md",
        namespace=namespace,
        metric_name=metric,
        dimensions=dict(dimensions),
        statistic=None if percentile else statistic,
        extended_statistic=statistic if percentile else None,
        period=period,
        evaluation_periods=periods,
        datapoints_to_alarm=periods,
        comparison_operator="GreaterThanThreshold" if above is not None else "LessThanThreshold",
        threshold=above if above is not None else below,
        treat_missing_data="breaching" if missing_is_bad else "notBreaching",
        alarm_actions=[context.alarm_topic_arn],
        ok_actions=[context.alarm_topic_arn],
        region=region,
        tags={**context.tags(name), "Runbook": runbook, "Severity": severity},
        opts=opts,
    )
