"""What CloudWatch and Prometheus say of both releases of a service since a moment."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from components.canary_rollout import labelled
from components.canary_spec import TRACKS, CanarySpec
from runbooks._kit import balancer
from runbooks._kit.target import Target
from scripts.canary.verdict import Figures
from scripts.oncall.prometheus import Prometheus

# What is asked, by its id, and how the values of several periods become one.
_ASKED: Mapping[str, tuple[str, str]] = {
    "requests": ("RequestCount", "Sum"),
    "errors": ("HTTPCode_Target_5XX_Count", "Sum"),
    "p90": ("TargetResponseTime", "p90"),
    "p99": ("TargetResponseTime", "p99"),
}
_MINUTE = 60


def read(
    target: Target, prometheus: Prometheus, spec: CanarySpec, groups: Mapping[str, str], since: datetime
) -> dict[str, Figures]:
    """Figures by track; ``groups`` are the ARNs of target groups by track, and of the rule."""
    now = datetime.now(UTC)
    seconds = max(1, math.ceil((now - since).total_seconds()))
    asked = {track: _balancer(target, groups["rule"], groups[track], since, now, seconds) for track in TRACKS}
    return {track: Figures(**asked[track], business=_business(prometheus, spec, track, seconds)) for track in TRACKS}


def _balancer(target: Target, rule: str, group: str, since: datetime, now: datetime, seconds: int) -> dict[str, Any]:
    of = balancer.dimensions(rule, group)
    dimensions = [{"Name": name, "Value": value} for name, value in of.items()]
    # All of it in one period, as a percentile of percentiles is none. Metrics come by the minute.
    period = math.ceil(seconds / _MINUTE) * _MINUTE
    found = target.client("cloudwatch").get_metric_data(
        MetricDataQueries=[
            {
                "Id": id,
                "MetricStat": {
                    "Metric": {"Namespace": balancer.NAMESPACE, "MetricName": metric, "Dimensions": dimensions},
                    "Period": period,
                    "Stat": statistic,
                },
            }
            for id, (metric, statistic) in _ASKED.items()
        ],
        StartTime=since,
        EndTime=now + timedelta(seconds=1),
    )["MetricDataResults"]
    values = {each["Id"]: each["Values"] for each in found}
    return {
        **{id: float(sum(values.get(id, []))) for id in ("requests", "errors")},
        **{id: max(map(float, values.get(id, [])), default=None) for id in ("p90", "p99")},
    }


def _business(prometheus: Prometheus, spec: CanarySpec, track: str, seconds: int) -> dict[str, tuple[float, float]]:
    found = {}
    for each in spec.business:
        by = labelled(spec, track) if each.by_track else ""
        bad, all_ = (prometheus.value(each.counted(which, by, seconds)) or 0.0 for which in (each.bad, each.all))
        found[each.name] = (bad, all_)
    return found
