"""Judges the alarms that the stack made in CloudWatch, as CloudWatch does, and tells the topics that they name.

Moto keeps alarms and never looks at them. One round stands for one period of every alarm, so that an alarm over five
periods of a minute rings after five rounds; it is a minute for EventBridge, too. A difference from CloudWatch: an alarm
on a metric that is not measured here stays INSUFFICIENT_DATA and says so.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from operator import ge, gt, le, lt
from typing import Any

from scripts.local.cloud.mutes import muted
from scripts.local.monitoring.events import Events
from scripts.local.monitoring.expressions import evaluate, holds
from scripts.local.monitoring.measures import Measures, measured

log = logging.getLogger(__name__)

OK, ALARM, UNKNOWN = "OK", "ALARM", "INSUFFICIENT_DATA"
NOT_MEASURED = "the local platform does not measure this"
_BREACHES: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": gt,
    "GreaterThanOrEqualToThreshold": ge,
    "LessThanThreshold": lt,
    "LessThanOrEqualToThreshold": le,
}
# By what an alarm does with a period without data (CloudWatch User Guide, "How alarms treat missing data").
_MISSING: Mapping[str, bool | None] = {"breaching": True, "notBreaching": False, "missing": None, "ignore": None}


def judge(alarm: Mapping[str, Any], values: Sequence[float | None]) -> str:
    """The state of ``alarm`` after these periods, the newest last; UNKNOWN until it has seen as many as it looks at."""
    looked_at = values[-alarm["EvaluationPeriods"] :]
    if len(looked_at) < alarm["EvaluationPeriods"]:
        return UNKNOWN
    breaches, absent = _BREACHES[alarm["ComparisonOperator"]], _MISSING[alarm.get("TreatMissingData", "missing")]
    found = [absent if value is None else breaches(value, alarm["Threshold"]) for value in looked_at]
    if all(each is None for each in found):
        return UNKNOWN
    return ALARM if sum(map(bool, found)) >= alarm.get("DatapointsToAlarm", len(found)) else OK


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of an alarm. ``statistic`` is what CloudWatch makes of a period's values."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]
    statistic: str

    @classmethod
    def of(cls, said: Mapping[str, Any], statistic: str) -> Metric:
        """As an alarm names it."""
        dimensions = tuple(sorted((each["Name"], each["Value"]) for each in said.get("Dimensions", [])))
        return cls(said.get("Namespace", ""), said.get("MetricName", ""), dimensions, statistic)


def metrics(alarm: Mapping[str, Any]) -> dict[str, Metric]:
    """What an alarm looks at, by the name that its expression has for it; its one metric is called m."""
    if queries := [each for each in alarm.get("Metrics") or [] if "MetricStat" in each]:
        return {each["Id"]: Metric.of(each["MetricStat"]["Metric"], each["MetricStat"]["Stat"]) for each in queries}
    return {"m": Metric.of(alarm, alarm.get("Statistic") or alarm.get("ExtendedStatistic") or "")}


def expression(alarm: Mapping[str, Any]) -> str:
    """What is made of an alarm's metrics."""
    return next((each["Expression"] for each in alarm.get("Metrics") or [] if "Expression" in each), "m")


class Alarms:
    """Every alarm of an account, round after round."""

    def __init__(self, client: Callable[[str], Any], measures: Measures, events: Events) -> None:
        self._client, self._measures, self._events = client, measures, events
        self._seen: dict[str, deque[float | None]] = defaultdict(lambda: deque(maxlen=100))
        self._muted: set[str] = set()

    def round(self) -> None:
        """Read every metric once, bring every alarm to its state, and let a minute pass for EventBridge."""
        began = datetime.now(UTC)
        self._muted = muted(self._client("cloudwatch"))
        self._read = cache(self._reading)
        states: dict[str, str] = {}
        pages = list(
            self._client("cloudwatch")
            .get_paginator("describe_alarms")
            .paginate(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        )
        for alarm in (each for page in pages for each in page["MetricAlarms"]):
            state, reason = self._judged(alarm)
            states[alarm["AlarmName"]] = state
            self._bring(alarm, state, reason)
        for alarm in (each for page in pages for each in page["CompositeAlarms"]):
            self._bring(alarm, ALARM if holds(alarm["AlarmRule"], states) else OK, alarm["AlarmRule"])
        self._events.minute()
        self._measures.next_round(began)

    def _judged(self, alarm: Mapping[str, Any]) -> tuple[str, str]:
        """The state of an alarm on metrics, and why."""
        looked_at = metrics(alarm)
        if not all(measured(each.namespace, each.name) for each in looked_at.values()):
            return UNKNOWN, NOT_MEASURED
        values = {name: self._read(metric) for name, metric in looked_at.items()}
        seen = self._seen[alarm["AlarmName"]]
        seen.append(evaluate(expression(alarm), values))
        return judge(alarm, list(seen)), f"the last values are {list(seen)[-alarm['EvaluationPeriods'] :]}"

    def _reading(self, metric: Metric) -> float | None:
        try:
            return self._measures.read(metric.namespace, metric.name, dict(metric.dimensions), metric.statistic)
        except Exception as error:  # a server that is down says nothing, as CloudWatch hears nothing of it
            log.warning("%s: %r", metric, error)
            return None

    def _bring(self, alarm: Mapping[str, Any], state: str, reason: str) -> None:
        if state == alarm["StateValue"] and (state != UNKNOWN or alarm.get("StateReason") == reason):
            return
        self._client("cloudwatch").set_alarm_state(AlarmName=alarm["AlarmName"], StateValue=state, StateReason=reason)
        if state == alarm["StateValue"]:
            return
        log.info("%s is %s: %s", alarm["AlarmName"], state, reason)
        self._events.changed(alarm, state, reason)
        actions = {ALARM: alarm["AlarmActions"], OK: alarm["OKActions"]}.get(state, [])
        if alarm["ActionsEnabled"] and alarm["AlarmName"] not in self._muted:
            for topic in actions:
                self._tell(topic, alarm, state, reason)

    def _tell(self, topic: str, alarm: Mapping[str, Any], state: str, reason: str) -> None:
        """As CloudWatch does (SNS message of an alarm), in the topic's own Region."""
        message = {
            "AlarmName": alarm["AlarmName"],
            "AlarmDescription": alarm.get("AlarmDescription"),
            "AlarmArn": alarm["AlarmArn"],
            "NewStateValue": state,
            "OldStateValue": alarm["StateValue"],
            "NewStateReason": reason,
            "StateChangeTime": datetime.now(UTC).isoformat(),
        }
        self._client("sns").publish(
            TopicArn=topic, Subject=f'{state}: "{alarm["AlarmName"]}"'[:100], Message=json.dumps(message)
        )
