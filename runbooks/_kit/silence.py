"""Silence while somebody is at work: what leads to a runbook wakes nobody while a run of it changes things.

A mute rule of CloudWatch and a silence of Alertmanager end by themselves, so that a run that dies leaves none behind.
Alarms and alerts are judged all the same, and `eventctl status` shows them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import httpx
from botocore.exceptions import BotoCoreError, ClientError
from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError

from runbooks._kit.model import Refused
from runbooks._kit.target import Target
from runbooks._kit.watchers import ALERTMANAGER

# How every alarm ends (components/alarm.py).
LEADS = re.compile(r"Runbook: runbooks/(\w+)\.md")
# What one rule mutes (CloudWatch API Reference, "PutAlarmMuteRule").
_MOST = 100
# Ways in which the way to the cluster, or in it, may be closed.
_AWAY = (ApiException, BotoCoreError, ClientError, HTTPError, httpx.HTTPError, OSError, Refused)


def rule(environment: str, runbook: str) -> str:
    """The name of the mute rule of a runbook."""
    return f"{environment}-runbook-{runbook}"


@contextmanager
def alarms(cloudwatch: Any, environment: str, runbook: str, *, until: datetime) -> Iterator[str]:
    """Mute CloudWatch's for the length of a block; gives what became of it, in words. Noise is no reason to mend
    nothing.
    """
    name = rule(environment, runbook)
    try:
        muted = _mute(cloudwatch, name, runbook, until)
    except (BotoCoreError, ClientError) as error:
        yield f"alarms may ring meanwhile: {error}"
        return
    try:
        yield f"muted: {', '.join(muted) or 'no alarm leads here'}"
    finally:
        if muted:
            cloudwatch.delete_alarm_mute_rule(AlarmMuteRuleName=name)


@contextmanager
def alerts(target: Target, runbook: str, *, until: datetime) -> Iterator[str]:
    """Silence Prometheus', by the label that each has (components/alert.py); otherwise as `alarms`."""
    try:
        ask = ALERTMANAGER.asked(target)
        silence = ask("/api/v2/silences", method="POST", body=_silence(target, runbook, until))["silenceID"]
    except _AWAY as error:
        yield f"alerts may ring meanwhile: {error}"
        return
    try:
        yield f"silence {silence}"
    finally:
        # One that cannot be ended ends by itself.
        with suppress(*_AWAY):
            ask(f"/api/v2/silence/{silence}", method="DELETE")


def _silence(target: Target, runbook: str, until: datetime) -> dict[str, Any]:
    """Alertmanager's API, "postableSilence"."""
    return {
        "matchers": [{"name": "runbook", "value": runbook, "isRegex": False, "isEqual": True}],
        "startsAt": datetime.now(UTC).isoformat(),
        "endsAt": until.isoformat(),
        "createdBy": target.identity.who,
        "comment": "somebody is at work with this runbook",
    }


def _mute(cloudwatch: Any, name: str, runbook: str, until: datetime) -> list[str]:
    alarms = [
        alarm["AlarmName"]
        for page in cloudwatch.get_paginator("describe_alarms").paginate()
        for alarm in page["MetricAlarms"]
        if (leads := LEADS.search(alarm.get("AlarmDescription", ""))) and leads[1] == runbook
    ][:_MOST]
    if alarms:
        cloudwatch.put_alarm_mute_rule(
            Name=name,
            Description="Somebody is at work with this runbook",
            # Each minute for a minute: from now on, whenever now is.
            Rule={"Schedule": {"Expression": "cron(* * * * *)", "Duration": "PT1M"}},
            MuteTargets={"AlarmNames": alarms},
            ExpireDate=until,
        )
    return alarms
