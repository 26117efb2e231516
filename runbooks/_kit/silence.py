"""Silence while somebody is at work: the alarms that lead to a runbook wake nobody while a run of it changes things.

A mute rule of CloudWatch ends by itself, so that a run that dies leaves no silence behind. Alarms are judged all the
same, and `eventctl status` shows them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

# How every alarm ends (components/alarm.py).
LEADS = re.compile(r"Runbook: runbooks/(\w+)\.md")
# What one rule mutes (CloudWatch API Reference, "PutAlarmMuteRule").
_MOST = 100


def rule(environment: str, runbook: str) -> str:
    """The name of the mute rule of a runbook."""
    return f"{environment}-runbook-{runbook}"


@contextmanager
def silent(cloudwatch: Any, environment: str, runbook: str, *, until: datetime) -> Iterator[str]:
    """Mute for the length of a block; gives what became of it, in words. Noise is no reason to mend nothing."""
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
