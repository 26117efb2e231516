"""Alarms go to topics of their own Region, by how soon somebody has to act."""

from dataclasses import replace

import pulumi
import pytest
from pulumi_aws import cloudwatch, kms, sns

from components.alarm import alarm
from components.context import Context
from components.observability import OnCall
from components.severity import Severity
from tests.support.recording import CONTEXT, record


def slow(context: Context = CONTEXT, severity: Severity = Severity.PAGE) -> None:
    """A program with one alarm, on a percentile."""
    alarm(
        "slow",
        context=context,
        says="Slow.",
        runbook="edge_errors",
        namespace="AWS/ApplicationELB",
        metric="TargetResponseTime",
        dimensions={},
        above=1,
        statistic="p99",
        severity=severity,
        opts=pulumi.ResourceOptions(),
    )


def test_topics_elsewhere_have_their_key_and_their_policies_there() -> None:
    found = record(lambda: OnCall("abroad", context=CONTEXT, region="us-east-1"))
    for kind in (sns.Topic, sns.TopicPolicy, kms.Key, kms.Alias):
        assert {made.inputs["region"] for made in found.all(kind).values()} == {"us-east-1"}, kind
    assert set(found.all(sns.Topic)) == {"abroad-page", "abroad-ticket"}


@pytest.mark.parametrize("severity", Severity)
def test_an_alarm_goes_to_the_topic_of_its_severity_when_it_fires_and_when_it_clears(severity: Severity) -> None:
    inputs = record(lambda: slow(severity=severity)).one(cloudwatch.MetricAlarm, "slow").inputs
    assert inputs["alarmActions"] == inputs["okActions"] == [CONTEXT.alarm_topics[severity]]


def test_an_alarm_that_would_tell_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="alarm 'slow' has no topic to go to; give its component a context with"):
        record(lambda: slow(replace(CONTEXT, alarm_topics={})))


def test_a_percentile_is_no_statistic() -> None:
    inputs = record(slow).one(cloudwatch.MetricAlarm, "slow").inputs
    assert inputs["extendedStatistic"] == "p99"
    assert "statistic" not in inputs
