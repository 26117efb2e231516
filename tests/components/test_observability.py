"""Alarms go to a topic of their own Region."""

import pulumi
from pulumi_aws import cloudwatch, kms, sns

from components.alarm import alarm
from components.observability import OnCall
from tests.support.recording import CONTEXT, record


def test_a_topic_elsewhere_has_its_key_and_its_policy_there() -> None:
    found = record(lambda: OnCall("abroad", context=CONTEXT, region="us-east-1"))
    for kind in (sns.Topic, sns.TopicPolicy, kms.Key, kms.Alias):
        assert found.one(kind, "abroad").inputs["region"] == "us-east-1", kind


def test_a_percentile_is_no_statistic() -> None:
    def program() -> None:
        alarm(
            "slow",
            context=CONTEXT,
            says="Slow.",
            runbook="edge_errors",
            namespace="AWS/ApplicationELB",
            metric="TargetResponseTime",
            dimensions={},
            above=1,
            statistic="p99",
            opts=pulumi.ResourceOptions(),
        )

    inputs = record(program).one(cloudwatch.MetricAlarm, "slow").inputs
    assert inputs["extendedStatistic"] == "p99"
    assert "statistic" not in inputs
