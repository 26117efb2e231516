"""EventBridge, as far as it calls our own functions: the changes of alarms, and the minutes.

Moto keeps rules and functions, and runs none: here a function is the module that its handler names, run in this process
against the simulated AWS. One round of whoever judges the alarms stands for a minute. Targets that are no function of
this repository are left alone: what they would do is nobody's here.
"""

from __future__ import annotations

import importlib
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from moto.events.models import EventPattern

from scripts.local.cloud.functions import count

log = logging.getLogger(__name__)
_OURS = "components.functions."
_RATE = re.compile(r"rate\((\d+) minutes?\)")


class Events:
    """The rules of an account, and the functions that they call. ``client`` makes clients of AWS."""

    def __init__(self, client: Callable[[str], Any]) -> None:
        self._client, self._rounds = client, 0

    def changed(self, alarm: Mapping[str, Any], state: str, reason: str) -> None:
        """An alarm has a new state (CloudWatch User Guide, "Alarm events and EventBridge")."""
        event: Any = {
            "source": "aws.cloudwatch",
            "detail-type": "CloudWatch Alarm State Change",
            "resources": [alarm["AlarmArn"]],
            "detail": {
                "alarmName": alarm["AlarmName"],
                "state": {"value": state, "reason": reason},
                "previousState": {"value": alarm["StateValue"]},
            },
        }
        for rule in self._rules():
            if (pattern := rule.get("EventPattern")) and EventPattern.load(pattern).matches_event(event):
                self._call(rule["Name"], event)

    def minute(self) -> None:
        """A minute has passed: whatever is due runs. Other schedules than rates in minutes are none of ours."""
        self._rounds += 1
        for rule in self._rules():
            rate = _RATE.fullmatch(rule.get("ScheduleExpression") or "")
            if rate and self._rounds % int(rate[1]) == 0:
                self._call(rule["Name"], {"source": "aws.events", "detail-type": "Scheduled Event"})

    def _rules(self) -> Iterator[dict[str, Any]]:
        for page in self._client("events").get_paginator("list_rules").paginate():
            yield from (rule for rule in page["Rules"] if rule["State"] == "ENABLED")

    def _call(self, rule: str, event: Mapping[str, Any]) -> None:
        for target in self._client("events").list_targets_by_rule(Rule=rule)["Targets"]:
            if ":function:" not in target["Arn"]:
                continue
            known = self._client("lambda").get_function_configuration(FunctionName=target["Arn"])
            module, _, name = known["Handler"].rpartition(".")
            if not module.startswith(_OURS):
                continue
            payload = json.loads(target["Input"]) if "Input" in target else event
            failed = False
            try:
                log.debug("%s: %s", rule, getattr(importlib.import_module(module), name)(payload, None))
            except Exception:  # Lambda's own answer to a function that fails: a line in its log, and the next call
                failed = True
                log.exception("%s failed", known["FunctionName"])
            count(self._client("cloudwatch"), known["FunctionName"], failed=failed)
