"""What RDS reports as an event rather than as a metric."""

from __future__ import annotations

import json

import pulumi
from pulumi_aws import cloudwatch

from components import database_alarms
from tests.support.recording import CONTEXT, record


def test_an_instance_that_fails_wakes_somebody_and_leads_to_a_restore_of_that_one_alone() -> None:
    def program() -> None:
        args = database_alarms.DatabaseAlarmsArgs(
            service="booking",
            instance_id=pulumi.Output.from_input("booking-1"),
            max_connections=100,
            storage_gib=100,
            replica_id=None,
        )
        database_alarms.make("booking-database", args, context=CONTEXT, opts=pulumi.ResourceOptions())

    made = record(program)
    [rule] = made.all(cloudwatch.EventRule).values()
    assert json.loads(rule.inputs["eventPattern"])["detail"] == {
        "EventCategories": ["failure"],
        "SourceIdentifier": ["booking-1"],
    }
    assert rule.inputs["tags"]["Severity"] == "page"
    [target] = made.all(cloudwatch.EventTarget).values()
    assert "runbooks/rds_point_in_time_restore.md" in target.inputs["inputTransformer"]["inputTemplate"]
