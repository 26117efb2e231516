"""Mute rules of alarms, which moto lacks: kept and answered beside its alarms, and told to whoever judges those.

A rule is taken to be active from its making until it expires: runbooks make no others. What a request asks is checked
by moto against botocore's model, as everywhere.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.exceptions import ResourceNotFoundException
from moto.cloudwatch.models import CloudWatchBackend
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult, EmptyResult


def apply() -> None:
    """Teach moto in this process."""
    for name, answer in {
        "put_alarm_mute_rule": _put,
        "delete_alarm_mute_rule": _delete,
        "get_alarm_mute_rule": _get,
        "list_alarm_mute_rules": _list,
    }.items():
        setattr(CloudWatchResponse, name, answer)


def muted(client: Any) -> set[str]:
    """The alarms that wake nobody now, of what ``client``, boto3's CloudWatch, sees."""
    rules = client.list_alarm_mute_rules(Statuses=["ACTIVE"])["AlarmMuteRuleSummaries"]
    names = [rule["AlarmMuteRuleArn"].rpartition(":")[2] for rule in rules]
    found = [client.get_alarm_mute_rule(AlarmMuteRuleName=name) for name in names]
    return {alarm for rule in found for alarm in rule["MuteTargets"]["AlarmNames"]}


def _put(self: Any) -> ActionResult:
    asked = self._get_params()
    backend = self.cloudwatch_backend
    arn = f"arn:aws:cloudwatch:{backend.region_name}:{backend.account_id}:alarm-mute-rule:{asked['Name']}"
    _rules(backend)[asked["Name"]] = {**asked, "AlarmMuteRuleArn": arn, "LastUpdatedTimestamp": datetime.now(UTC)}
    return EmptyResult()


def _delete(self: Any) -> ActionResult:
    # Deleting what is not there is no error (API reference, "DeleteAlarmMuteRule": no such error is listed).
    _rules(self.cloudwatch_backend).pop(self._get_param("AlarmMuteRuleName"), None)
    return EmptyResult()


def _get(self: Any) -> ActionResult:
    name = self._get_param("AlarmMuteRuleName")
    if (found := _rules(self.cloudwatch_backend).get(name)) is None:
        raise ResourceNotFoundException(f"there is no alarm mute rule {name}")
    return ActionResult({**found, "Status": _status(found)})


def _list(self: Any) -> ActionResult:
    wanted = self._get_param("Statuses") or ["SCHEDULED", "ACTIVE", "EXPIRED"]
    alarm = self._get_param("AlarmName")
    found = [
        {**rule, "Status": _status(rule)}
        for rule in _rules(self.cloudwatch_backend).values()
        if _status(rule) in wanted and (not alarm or alarm in rule["MuteTargets"]["AlarmNames"])
    ]
    return ActionResult({"AlarmMuteRuleSummaries": found})


def _status(rule: Any) -> str:
    # Moto reads times without their zone, which is UTC.
    expires = rule.get("ExpireDate")
    return "EXPIRED" if expires and expires.replace(tzinfo=UTC) <= datetime.now(UTC) else "ACTIVE"


def _rules(backend: CloudWatchBackend) -> dict[str, Any]:
    found: dict[str, Any] = vars(backend).setdefault("alarm_mute_rules", {})
    return found
