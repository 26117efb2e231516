"""What CloudWatch knows of a thing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from runbooks._kit.target import Target

# A point has the moment at which its period began, by CloudWatch's clock.
_AHEAD = timedelta(minutes=1)


def points(
    target: Target,
    namespace: str,
    metric: str,
    of: Mapping[str, str],
    *,
    during: timedelta,
    statistic: str = "Maximum",
    period: int = 60,
) -> list[tuple[datetime, float]]:
    """When each period of ``period`` seconds began, and the metric's value in it, the newest last.

    ``of`` are the metric's dimensions.
    """
    now = datetime.now(UTC)
    found = target.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in of.items()],
        StartTime=now - during,
        EndTime=now + _AHEAD,
        Period=period,
        Statistics=[statistic],
    )["Datapoints"]
    return sorted((point["Timestamp"], float(point[statistic])) for point in found)
