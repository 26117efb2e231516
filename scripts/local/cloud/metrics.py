"""What moto leaves out of CloudWatch's metrics: percentiles, and forgetting; and composite alarms.

Values that are sent with their counts are kept as such, one entry for all of them. What is older than three hours is
forgotten, as CloudWatch forgets periods shorter than a minute (User Guide, "Metrics retention").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.cloudwatch.models import CloudWatchBackend, MetricAggregatedDatum, Statistics
from moto.cloudwatch.responses import CloudWatchResponse

_KEPT = timedelta(hours=3)
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?)")


class Distribution(MetricAggregatedDatum):
    """Values of a metric, each with how often it was seen."""

    def __init__(self, namespace: str, member: Mapping[str, Any]) -> None:
        values = [float(value) for value in member["Values"]]
        counts = [float(count) for count in member.get("Counts") or [1] * len(values)]
        self.seen = dict(zip(values, counts, strict=True))
        super().__init__(
            namespace=namespace,
            name=member["MetricName"],
            min_stat=min(values),
            max_stat=max(values),
            sample_count=sum(counts),
            sum_stat=sum(value * count for value, count in self.seen.items()),
            dimensions=member.get("Dimensions") or [],
            timestamp=member.get("Timestamp"),
            unit=member.get("Unit"),
        )


def percentile(seen: Mapping[float, float], percent: float) -> float:
    """The smallest value that so many per cent of all are not above; ``seen`` has how often each value was seen."""
    needed, counted = percent / 100 * sum(seen.values()), 0.0
    for value in sorted(seen):
        counted += seen[value]
        if counted >= needed:
            return value
    return max(seen)


def apply() -> None:
    """Teach moto in this process."""
    _percentiles_are_known()
    _values_stay_together_until_they_are_forgotten()
    # Moto's alarms know a rule, and its other call takes one.
    CloudWatchResponse.put_composite_alarm = _put_composite_alarm  # type: ignore[attr-defined]


def _percentiles_are_known() -> None:
    others = Statistics.get_statistics_for_type

    def statistic(self: Any, stat: str) -> Any:
        if (match := _PERCENTILE.fullmatch(stat)) is None:
            return others(self, stat)
        seen: dict[float, float] = {}
        for datum in self.metric_data:
            for value, count in datum.seen.items() if isinstance(datum, Distribution) else ((datum.value, 1.0),):
                seen[value] = seen.get(value, 0.0) + count
        return percentile(seen, float(match[1]))

    # In place, because moto makes them itself.
    Statistics.get_statistics_for_type = statistic  # type: ignore[method-assign]


def _values_stay_together_until_they_are_forgotten() -> None:
    others = CloudWatchBackend.put_metric_data

    def put(self: Any, namespace: str, metric_data: list[dict[str, Any]]) -> None:
        others(self, namespace, [each for each in metric_data if not each.get("Values")])
        for number, member in enumerate(metric_data, 1):
            if member.get("Values"):
                self._validate_parameters_put_metric_data(member, number)
                self.metric_data.append(Distribution(namespace, member))
        # Moto counts in UTC, without saying so.
        since = datetime.now(UTC).replace(tzinfo=None) - _KEPT
        if self.metric_data and self.metric_data[0].timestamp.replace(tzinfo=None) < since:
            self.metric_data = [each for each in self.metric_data if each.timestamp.replace(tzinfo=None) >= since]

    # In place, because moto makes its backends itself.
    CloudWatchBackend.put_metric_data = put  # type: ignore[method-assign]


def _put_composite_alarm(self: Any) -> Any:
    answer = self.put_metric_alarm()
    alarm = self.cloudwatch_backend.alarms[self._get_param("AlarmName")]
    alarm.alarm_rule, alarm.state_value, alarm.state_reason = alarm.rule, "INSUFFICIENT_DATA", "not judged yet"
    return answer
