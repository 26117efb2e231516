"""Alarms of CloudWatch ring and clear by what is measured, and tell the topics that they name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from components.canary_guard import fired
from components.canary_spec import Limits, error_rate, slowest
from components.functions import canary_rollback
from runbooks._kit.silence import alarms as muted
from scripts.local.cloud import metrics, mutes
from scripts.local.monitoring.alarms import ALARM, NOT_MEASURED, OK, UNKNOWN, Alarms, judge
from scripts.local.monitoring.events import Events
from scripts.local.monitoring.expressions import evaluate, holds
from scripts.local.monitoring.measures import Measures
from tests.support.aws import mocked_aws

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
        self.by_metric: dict[str, float | None] = {}
        self.fails = False
        self.next_round(datetime.now(UTC))

    def read(self, namespace: str, metric: str, dimensions: Any, statistic: str) -> float | None:
        if self.fails:
            raise ConnectionRefusedError("nobody listens")
        return self.by_metric.get(metric, self.value)


class World:
    """One alarm on one queue's length, its topic, and a mailbox that hears the topic."""

    def __init__(self) -> None:
        self.measures = Scripted()
        self.alarms = Alarms(self.client, self.measures, Events(self.client))
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
def world() -> Iterator[World]:
    mutes.apply()
    metrics.apply()
    with mocked_aws():
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
    with muted(world.client("cloudwatch"), "local", "stuck_saga", until=datetime.now(UTC) + timedelta(minutes=5)):
        world.rounds(2, 2)
    assert world.state()[0] == ALARM
    with muted(world.client("cloudwatch"), "local", "another", until=datetime.now(UTC) + timedelta(minutes=5)):
        world.rounds(0)
    with muted(world.client("cloudwatch"), "local", "stuck_saga", until=datetime.now(UTC)):
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


@pytest.mark.parametrize(
    ("values", "result"),
    [
        ({"requests": 100.0, "errors": 3.0}, 3.0),
        ({"requests": 100.0, "errors": None}, 0.0),
        ({"requests": 49.0, "errors": 49.0}, None),
        ({"requests": None, "errors": None}, None),
    ],
)
def test_the_canarys_rate_of_errors_is_computed_as_cloudwatch_would(
    values: dict[str, float | None], result: float | None
) -> None:
    [rate] = [each["expression"] for each in error_rate(Limits(requests=50), {}) if "expression" in each]
    assert evaluate(rate, values) == result


@pytest.mark.parametrize(
    ("canary", "stable", "requests", "result"),
    [(0.9, 0.1, 200.0, 0.9), (0.9, None, 200.0, 0.9), (0.9, 0.6, 200.0, None), (0.9, 0.1, 199.0, None)],
    ids=["slow", "alone", "both", "few"],
)
def test_a_canary_is_slow_when_the_stable_release_is_not_and_there_are_enough_requests(
    canary: float, stable: float | None, requests: float, result: float | None
) -> None:
    [slow] = [each["expression"] for each in slowest(Limits(p99_seconds=0.5), {}, {}) if "expression" in each]
    assert evaluate(slow, {"canary": canary, "stable": stable, "requests": requests}) == result


@pytest.mark.parametrize(
    ("rule", "result"),
    [
        ('ALARM("bad") OR ALARM("good")', True),
        ('ALARM("good") OR ALARM("not there")', False),
        ('ALARM("bad") AND NOT OK("good")', False),
        ('ALARM("arn:aws:cloudwatch:eu-west-3:123456789012:alarm:bad") AND OK("good")', True),
    ],
)
def test_a_composite_alarm_follows_its_rule(rule: str, result: bool) -> None:
    assert holds(rule, {"bad": ALARM, "good": OK}) is result


@pytest.mark.parametrize("text", ["ANOMALY_DETECTION_BAND(m)", "__import__('os')", "1 +", "other"])
def test_math_that_is_not_known_here_is_refused_and_never_run(text: str) -> None:
    with pytest.raises(ValueError, match="is not understood here"):
        evaluate(text, {"m": 1.0})


def test_an_alarm_over_several_metrics_rings_and_the_composite_alarm_over_it(world: World) -> None:
    queries: Any = error_rate(Limits(requests=50), {"TargetGroup": "canary"})
    told = [
        {"Id": each["id"], "ReturnData": each["return_data"]}
        | (
            {"Expression": each["expression"]}
            if "expression" in each
            else {
                "MetricStat": {
                    "Metric": {"Namespace": "AWS/ApplicationELB", "MetricName": each["metric"]["metric_name"]},
                    "Period": 60,
                    "Stat": "Sum",
                }
            }
        )
        for each in queries
    ]
    settings = alarm(EvaluationPeriods=2, DatapointsToAlarm=2, Threshold=1.0)
    world.client("cloudwatch").put_metric_alarm(AlarmName="errors", Metrics=told, **settings)
    world.client("cloudwatch").put_composite_alarm(AlarmName="any", AlarmRule='ALARM("errors")')
    world.measures.by_metric = {"RequestCount": 100.0, "HTTPCode_Target_5XX_Count": 5.0}
    world.rounds(0)
    states = [_composite(world)]
    world.rounds(0)
    states.append(_composite(world))
    world.measures.by_metric["HTTPCode_Target_5XX_Count"] = None
    world.rounds(0)
    states.append(_composite(world))
    assert states == [OK, ALARM, OK]


def _composite(world: World) -> str:
    found = world.client("cloudwatch").describe_alarms(AlarmNames=["any"], AlarmTypes=["CompositeAlarm"])
    return str(found["CompositeAlarms"][0]["StateValue"])


def test_an_alarm_and_each_minute_call_the_function_that_takes_canaries_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[Any] = []
    monkeypatch.setattr(canary_rollback, "handler", lambda event, _: called.append(event["why"]))
    role = world.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    function = world.client("lambda").create_function(
        FunctionName="rollback",
        Runtime="python3.13",
        Role=role,
        Handler="components.functions.canary_rollback.handler",
        Code={"ZipFile": b"x"},
    )["FunctionArn"]
    arn = world.client("cloudwatch").describe_alarms(AlarmNames=["parked"])["MetricAlarms"][0]["AlarmArn"]
    events = world.client("events")
    for why, when in (("alarm", {"EventPattern": fired(arn)}), ("lease", {"ScheduleExpression": "rate(2 minutes)"})):
        events.put_rule(Name=why, **when)
        target = {"Id": "1", "Arn": function, "Input": json.dumps({"why": why, "canaries": []})}
        events.put_targets(Rule=why, Targets=[target])
    world.rounds(0, 0, 2, 2)
    assert called == ["lease", "alarm", "lease"]


def test_percentiles_and_sums_of_values_with_counts_are_cloudwatchs(world: World) -> None:
    cloudwatch, now = world.client("cloudwatch"), datetime.now(UTC)
    one = {"MetricName": "Time", "Values": [0.1, 0.2, 3.0], "Counts": [90.0, 9.0, 1.0], "Timestamp": now}
    cloudwatch.put_metric_data(Namespace="test", MetricData=[one])
    queries = [
        {
            "Id": f"m{number}",
            "MetricStat": {"Metric": {"Namespace": "test", "MetricName": "Time"}, "Period": 60, "Stat": stat},
        }
        for number, stat in enumerate(("p50", "p99", "p99.9", "Sum", "SampleCount"))
    ]
    found = cloudwatch.get_metric_data(
        MetricDataQueries=queries, StartTime=now - timedelta(seconds=30), EndTime=now + timedelta(seconds=30)
    )["MetricDataResults"]
    values = [each["Values"][0] for each in found]
    assert values == [0.1, 0.2, 3.0, pytest.approx(13.8), 100.0]
