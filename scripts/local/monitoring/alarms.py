"""Judges the alarms that the stack made in CloudWatch, as CloudWatch does, and tells the topics that they name.

Moto keeps alarms and never looks at them. One round stands for one period of every alarm, so that an alarm over five
periods of a minute rings after five rounds. Differences from CloudWatch: an alarm on a metric that is not measured here
stays INSUFFICIENT_DATA and says so; composite alarms and metric math are not judged.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from operator import ge, gt, le, lt
from typing import Any

from scripts.local.cloud.mutes import muted
from scripts.local.monitoring.measures import SOURCES, Measures

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


class Alarms:
    """Every alarm of an account, round after round."""

    def __init__(self, client: Callable[[str], Any], measures: Measures) -> None:
        self._client, self._measures = client, measures
        self._seen: dict[str, deque[float | None]] = defaultdict(lambda: deque(maxlen=100))
        self._muted: set[str] = set()

    def round(self) -> None:
        """Read every metric once, and bring every alarm to its state."""
        began = datetime.now(UTC)
        self._muted = muted(self._client("cloudwatch"))
        read: dict[tuple[str, str, str], float | None] = {}
        for page in self._client("cloudwatch").get_paginator("describe_alarms").paginate():
            for alarm in page["MetricAlarms"]:
                name, source = alarm["AlarmName"], (alarm.get("Namespace", ""), alarm.get("MetricName", ""))
                if source not in SOURCES:
                    self._bring(alarm, UNKNOWN, NOT_MEASURED)
                    continue
                dimensions = {each["Name"]: each["Value"] for each in alarm["Dimensions"]}
                key = (*source, json.dumps(dimensions, sort_keys=True))
                if key not in read:
                    read[key] = self._read(*source, dimensions)
                self._seen[name].append(read[key])
                values = list(self._seen[name])
                state = judge(alarm, values)
                self._bring(alarm, state, f"the last values are {values[-alarm['EvaluationPeriods'] :]}")
        self._measures.next_round(began)

    def _read(self, namespace: str, metric: str, dimensions: Mapping[str, str]) -> float | None:
        try:
            return self._measures.read(namespace, metric, dimensions)
        except Exception as error:  # a server that is down says nothing, as CloudWatch hears nothing of it
            log.warning("%s %s of %s: %r", namespace, metric, dimensions, error)
            return None

    def _bring(self, alarm: Mapping[str, Any], state: str, reason: str) -> None:
        if state == alarm["StateValue"] and (state != UNKNOWN or alarm.get("StateReason") == reason):
            return
        self._client("cloudwatch").set_alarm_state(AlarmName=alarm["AlarmName"], StateValue=state, StateReason=reason)
        if state == alarm["StateValue"]:
            return
        log.info("%s is %s: %s", alarm["AlarmName"], state, reason)
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
