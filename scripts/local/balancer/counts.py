"""HAProxy's log as CloudWatch has it: requests, errors and times of each target group (Application Load Balancer Guide,
"CloudWatch metrics"). A time is counted to two digits, so that as many requests as there are make few values.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

NAMESPACE = "AWS/ApplicationELB"
_ERROR = 500
# What HAProxy says for a server that it did not come to, and for a time that did not pass.
_NOBODY, _NEVER = "<NOSRV>", "-1"
# PutMetricData takes as many values of a metric at most.
_MOST = 150


class Counts(asyncio.DatagramProtocol):
    """Takes the log, a line a datagram: the group, its server, the status, and milliseconds until it answered."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._requests, self._errors = Counter[str](), Counter[str]()
        self._times: defaultdict[str, Counter[float]] = defaultdict(Counter)
        self._own_errors = 0

    def datagram_received(self, data: bytes, _: Any) -> None:
        """Count a line of the log."""
        self.count(data.decode())

    def count(self, line: str) -> None:
        """Count one request."""
        group, server, status, milliseconds = line.split()
        if server != _NOBODY:
            self._requests[group] += 1
        if milliseconds != _NEVER:
            self._times[group][_rounded(int(milliseconds) / 1000)] += 1
        if int(status) >= _ERROR:
            if milliseconds == _NEVER:
                self._own_errors += 1
            else:
                self._errors[group] += 1

    def taken(
        self, balancer: str, groups: Mapping[str, str], states: Mapping[str, Mapping[str, str]]
    ) -> Iterable[dict[str, Any]]:
        """What PutMetricData is told of the time since this was last called.

        ``balancer`` and ``groups``, by name, are the ends of their ARNs; ``states`` are those of targets, by group.
        """
        requests, errors, times, own = self._requests, self._errors, self._times, self._own_errors
        self._clear()
        whole = [{"Name": "LoadBalancer", "Value": balancer}]
        if own:
            yield {"MetricName": "HTTPCode_ELB_5XX_Count", "Dimensions": whole, **_sum(own)}
        for name, suffix in groups.items():
            one = {"Dimensions": [*whole, {"Name": "TargetGroup", "Value": suffix}]}
            if requests[name]:
                yield {"MetricName": "RequestCount", **one, **_sum(requests[name])}
            if errors[name]:
                yield {"MetricName": "HTTPCode_Target_5XX_Count", **one, **_sum(errors[name])}
            if seen := times.get(name):
                first = seen.most_common(_MOST)
                values = {"Values": [value for value, _ in first], "Counts": [float(count) for _, count in first]}
                yield {"MetricName": "TargetResponseTime", **one, **values, "Unit": "Seconds"}
            healthy = Counter(states.get(name, {}).values())
            if healthy:
                yield {"MetricName": "HealthyHostCount", **one, "Value": float(healthy["healthy"])}
                yield {"MetricName": "UnHealthyHostCount", **one, "Value": float(healthy["unhealthy"])}


def _sum(number: int) -> dict[str, Any]:
    statistics = {"Sum": float(number), "SampleCount": float(number), "Minimum": 1.0, "Maximum": 1.0}
    return {"StatisticValues": statistics, "Unit": "Count"}


def _rounded(seconds: float) -> float:
    return float(f"{seconds:.2g}")
