"""An alarm that nobody has to guess about: it says how bad it is and which runbook mends it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi_aws import cloudwatch

from components.context import Context
from components.severity import Severity


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
    that of the metric and of the context's topics, unless it is the environment's own. Raises ValueError unless exactly
    one threshold is given, and when the context has no topic.
    """
    topic = context.topic(severity, f"alarm {name!r}")
    if (above is None) == (below is None):
        raise ValueError(f"alarm {name!r} has above={above} and below={below}; give exactly one of them")
    percentile = statistic.startswith("p")
    made = cloudwatch.MetricAlarm(
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
        alarm_actions=[topic],
        ok_actions=[topic],
        region=region,
        tags={**context.tags(name), "Runbook": runbook, "Severity": severity},
        opts=opts,
    )
    if context.board is not None:
        context.board.add(made, name, runbook, opts.parent)
    return made


def notice(
    name: str,
    *,
    context: Context,
    says: str,
    runbook: str,
    pattern: Mapping[str, Any],
    shows: Mapping[str, str],
    severity: Severity = Severity.PAGE,
    opts: pulumi.ResourceOptions,
) -> cloudwatch.EventRule:
    """An alarm on what AWS reports as an event rather than as a metric: ``pattern`` selects it.

    The message names what ``shows`` finds in the event (name → JSON path), and the runbook. Raises ValueError when the
    context has no topic.
    """
    topic = context.topic(severity, f"notice {name!r}")
    about = f"{says} Runbook: runbooks/{runbook}.md"
    rule = cloudwatch.EventRule(
        name,
        description=about,
        event_pattern=pulumi.Output.json_dumps(dict(pattern)),
        tags={**context.tags(name), "Runbook": runbook, "Severity": severity},
        opts=opts,
    )
    cloudwatch.EventTarget(
        name,
        rule=rule.name,
        arn=topic,
        input_transformer=cloudwatch.EventTargetInputTransformerArgs(
            input_paths=dict(shows),
            # EventBridge puts the values where their names stand between angle brackets.
            input_template=json.dumps(f"{about} {', '.join(f'{key}: <{key}>' for key in shows)}"),
        ),
        opts=opts,
    )
    return rule
