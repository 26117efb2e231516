"""Alarms of CloudWatch ring and clear by what is measured, and tell the topics that they name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from runbooks._kit.silence import silent
from scripts.local.cloud import mutes
from scripts.local.monitoring.alarms import ALARM, NOT_MEASURED, OK, UNKNOWN, Alarms, judge
from scripts.local.monitoring.measures import Measures

REGION = "eu-west-3"


def alarm(**other: Any) -> dict[str, Any]:
    return {
        "EvaluationPeriods": 3,
        "DatapointsToAlarm": 3,
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": 0.0,
        "TreatMissingData": "notBreaching",
        **other,
    }


@pytest.mark.parametrize(
    ("settings", "values", "state"),
    [
        ({}, [1], UNKNOWN),
        ({}, [1, 1, 1], ALARM),
        ({}, [1, 1, 0], OK),
        ({}, [0, 1, 1, 1], ALARM),
        ({"DatapointsToAlarm": 2}, [1, 0, 1], ALARM),
        ({"ComparisonOperator": "LessThanThreshold", "Threshold": 5.0}, [4, 4, 4], ALARM),
        ({"ComparisonOperator": "GreaterThanOrEqualToThreshold"}, [0, 0, 0], ALARM),
        ({}, [None, None, None], OK),
        ({"TreatMissingData": "breaching"}, [None, None, None], ALARM),
        ({"TreatMissingData": "breaching"}, [None, 0, None], OK),
        ({"TreatMissingData": "missing"}, [None, None, None], UNKNOWN),
    ],
)
def test_an_alarm_is_judged_as_cloudwatch_does(
    settings: dict[str, Any], values: Sequence[float | None], state: str
) -> None:
    assert judge(alarm(**settings), values) == state


class Scripted(Measures):
    """Says what a test wants, instead of asking servers."""

    def __init__(self) -> None:
        self.value: float | None = 0.0
        self.fails = False
        self.next_round(datetime.now(UTC))

    def read(self, namespace: str, metric: str, dimensions: Any) -> float | None:
        if self.fails:
            raise ConnectionRefusedError("nobody listens")
        return self.value


class World:
    """One alarm on one queue's length, its topic, and a mailbox that hears the topic."""

    def __init__(self) -> None:
        self.measures = Scripted()
        self.alarms = Alarms(self.client, self.measures)
        self.topic = self.client("sns").create_topic(Name="page")["TopicArn"]
        self.box = self.client("sqs").create_queue(QueueName="box")["QueueUrl"]
        self.client("sns").subscribe(
            TopicArn=self.topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:123456789012:box"
        )
        self.put()

    def client(self, service: str) -> Any:
        make: Any = boto3.client
        return make(service, region_name=REGION)

    def put(self, name: str = "parked", metric: str = "ApproximateNumberOfMessagesVisible", **more: Any) -> None:
        self.client("cloudwatch").put_metric_alarm(
            AlarmName=name,
            AlarmDescription="Orders wait. Runbook: runbooks/stuck_saga.md",
            Namespace="AWS/SQS",
            MetricName=metric,
            Dimensions=[{"Name": "QueueName", "Value": "operator"}],
            Period=60,
            Statistic="Maximum",
            AlarmActions=[self.topic],
            OKActions=[self.topic],
            **{**alarm(EvaluationPeriods=2, DatapointsToAlarm=2), **more},
        )

    def rounds(self, *values: float | None) -> None:
        for self.measures.value in values:
            self.alarms.round()

    def state(self, name: str = "parked") -> tuple[str, str]:
        [found] = self.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
        return found["StateValue"], found["StateReason"]

    def heard(self) -> list[dict[str, Any]]:
        got = self.client("sqs").receive_message(QueueUrl=self.box, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(json.loads(message["Body"])["Message"]) for message in got]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    mutes.apply()
    with mock_aws():
        yield World()


def test_an_alarm_rings_once_and_clears_once_and_says_so_to_its_topic(world: World) -> None:
    world.rounds(0, 0, 2, 2, 2, 0, 0)
    assert world.state()[0] == OK
    told = [(each["AlarmName"], each["OldStateValue"], each["NewStateValue"]) for each in world.heard()]
    # A queue keeps no order.
    assert sorted(told) == sorted([("parked", UNKNOWN, OK), ("parked", OK, ALARM), ("parked", ALARM, OK)])


def test_an_alarm_whose_actions_are_off_rings_and_tells_nobody(world: World) -> None:
    world.client("cloudwatch").disable_alarm_actions(AlarmNames=["parked"])
    world.rounds(2, 2)
    assert world.state()[0] == ALARM
    assert world.heard() == []


def test_an_alarm_that_is_muted_rings_and_tells_nobody_until_the_rule_ends(world: World) -> None:
    with silent(world.client("cloudwatch"), "local", "stuck_saga", until=datetime.now(UTC) + timedelta(minutes=5)):
        world.rounds(2, 2)
    assert world.state()[0] == ALARM
    with silent(world.client("cloudwatch"), "local", "another", until=datetime.now(UTC) + timedelta(minutes=5)):
        world.rounds(0)
    with silent(world.client("cloudwatch"), "local", "stuck_saga", until=datetime.now(UTC)):
        world.rounds(2, 2)
    told = [(each["OldStateValue"], each["NewStateValue"]) for each in world.heard()]
    assert sorted(told) == sorted([(ALARM, OK), (OK, ALARM)])


def test_a_server_that_is_down_says_nothing_and_stops_no_round(world: World) -> None:
    world.put("pods", TreatMissingData="breaching")
    world.measures.fails = True
    world.rounds(0, 0)
    assert world.state("pods")[0] == ALARM
    assert world.state("parked")[0] == OK


def test_an_alarm_that_nothing_here_can_judge_says_so(world: World) -> None:
    world.put("age", "ApproximateAgeOfOldestMessage")
    world.rounds(9, 9, 9)
    assert world.state("age") == (UNKNOWN, NOT_MEASURED)
