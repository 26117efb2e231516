"""The function that takes a canary back, against a load balancer and parameters that answer as AWS does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from components.functions import canary_rollback
from components.functions.canary_rollback import NotRolledBack, settle, settle_all
from tests.support.aws import mocked_aws

NOW = datetime(2026, 11, 24, 21, 0, tzinfo=UTC)
LEASE = "/dev/booking-canary/lease"
REGION = "eu-west-3"


@dataclass(frozen=True, slots=True)
class Balanced:
    """A rule over two target groups."""

    elb: Any
    ssm: Any
    rule: str
    stable: str
    canary: str

    @property
    def described(self) -> dict[str, str]:
        return {"rule": self.rule, "stable": self.stable, "lease": LEASE}

    def weigh(self, stable: int, canary: int) -> None:
        self.elb.modify_rule(RuleArn=self.rule, Actions=[forward({self.stable: stable, self.canary: canary})])

    def hold(self, value: Any) -> None:
        text = value if isinstance(value, str) else json.dumps(value)
        self.ssm.put_parameter(Name=LEASE, Value=text, Type="String", Overwrite=True)

    def leads_to(self) -> set[str]:
        [rule] = self.elb.describe_rules(RuleArns=[self.rule])["Rules"]
        [action] = rule["Actions"]
        if "TargetGroupArn" in action:
            return {action["TargetGroupArn"]}
        return {group["TargetGroupArn"] for group in action["ForwardConfig"]["TargetGroups"]}

    def settle(self, why: str) -> str:
        return settle(self.described, why, self.elb, self.ssm, now=NOW)


def forward(weights: dict[str, int]) -> dict[str, Any]:
    groups = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights.items()]
    sticky = {"Enabled": True, "DurationSeconds": 600}
    return {"Type": "forward", "ForwardConfig": {"TargetGroups": groups, "TargetGroupStickinessConfig": sticky}}


@pytest.fixture
def balanced() -> Iterator[Balanced]:
    with mocked_aws():
        ec2, elb = boto3.client("ec2", region_name=REGION), boto3.client("elbv2", region_name=REGION)
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"{REGION}{zone}")
            for n, zone in enumerate("ab")
        ]
        balancer = elb.create_load_balancer(Name="one", Subnets=[each["Subnet"]["SubnetId"] for each in subnets])
        groups = [
            elb.create_target_group(Name=name, Protocol="HTTP", Port=8080, VpcId=vpc, TargetType="ip")
            for name in ("stable", "canary")
        ]
        stable, canary = (each["TargetGroups"][0]["TargetGroupArn"] for each in groups)
        listener = elb.create_listener(
            LoadBalancerArn=balancer["LoadBalancers"][0]["LoadBalancerArn"],
            Protocol="HTTP",
            Port=80,
            DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}],
        )
        rule = elb.create_rule(
            ListenerArn=listener["Listeners"][0]["ListenerArn"],
            Priority=100,
            Conditions=[{"Field": "path-pattern", "Values": ["/api/booking/*"]}],
            Actions=[forward({stable: 950, canary: 50})],
        )
        yield Balanced(elb, boto3.client("ssm", region_name=REGION), rule["Rules"][0]["RuleArn"], stable, canary)


def until(minutes: int) -> dict[str, str]:
    return {"holder": "somebody", "expires": (NOW + timedelta(minutes=minutes)).isoformat()}


def test_an_alarm_ends_a_canary_whoever_holds_it_and_leaves_a_single_group(balanced: Balanced) -> None:
    balanced.hold(until(30))
    assert balanced.settle("alarm") == "taken back"
    assert balanced.leads_to() == {balanced.stable}
    record = json.loads(balanced.ssm.get_parameter(Name=LEASE)["Parameter"]["Value"])
    assert (record["why"], record["ended"]) == ("alarm", NOW.isoformat())
    assert record["weights"] == {balanced.stable: 950, balanced.canary: 50}


def test_an_alarm_ends_a_canary_of_weight_nothing_too_because_visitors_stick_to_it(balanced: Balanced) -> None:
    balanced.weigh(999, 0)
    assert balanced.settle("alarm") == "taken back"
    assert balanced.leads_to() == {balanced.stable}


def test_once_taken_back_another_alarm_changes_nothing(balanced: Balanced) -> None:
    balanced.settle("alarm")
    first = balanced.ssm.get_parameter(Name=LEASE)["Parameter"]["Version"]
    assert balanced.settle("alarm") == "stable alone already"
    assert balanced.ssm.get_parameter(Name=LEASE)["Parameter"]["Version"] == first


def test_a_canary_that_somebody_holds_goes_on(balanced: Balanced) -> None:
    balanced.hold(until(1))
    assert balanced.settle("lease").startswith("held until")
    assert balanced.leads_to() == {balanced.stable, balanced.canary}


@pytest.mark.parametrize(
    "value",
    [
        until(0),
        until(-1),
        {"ended": "never started"},
        {"expires": "soon"},
        {"expires": None},
        {"expires": "2030-01-01T00:00:00"},
        [],
        "not JSON",
    ],
)
def test_a_canary_with_traffic_whose_lease_is_over_or_unreadable_is_taken_back(balanced: Balanced, value: Any) -> None:
    balanced.hold(value)
    assert balanced.settle("lease") == "taken back"
    assert balanced.leads_to() == {balanced.stable}


def test_a_canary_without_any_lease_is_taken_back(balanced: Balanced) -> None:
    assert balanced.settle("lease") == "taken back"


def test_without_traffic_nobody_has_to_hold_anything(balanced: Balanced) -> None:
    balanced.weigh(999, 0)
    assert balanced.settle("lease") == "no traffic"
    assert balanced.leads_to() == {balanced.stable, balanced.canary}


def test_a_canary_that_got_everything_is_held_like_any_other(balanced: Balanced) -> None:
    balanced.elb.modify_rule(RuleArn=balanced.rule, Actions=[{"Type": "forward", "TargetGroupArn": balanced.canary}])
    assert balanced.settle("lease") == "taken back"
    assert balanced.leads_to() == {balanced.stable}


def test_one_rule_that_is_gone_does_not_keep_the_others_from_being_brought_back(balanced: Balanced) -> None:
    gone = {**balanced.described, "rule": balanced.rule[:-4] + "0000"}
    event = {"why": "alarm", "canaries": [gone, balanced.described]}
    with pytest.raises(NotRolledBack, match="0000"):
        settle_all(event, balanced.elb, balanced.ssm, now=NOW)
    assert balanced.leads_to() == {balanced.stable}


def test_a_change_that_did_not_arrive_is_an_error_and_not_a_success(balanced: Balanced) -> None:
    class Deaf:
        """A load balancer that says yes and does nothing."""

        def __getattr__(self, name: str) -> Any:
            return (lambda **_: {}) if name == "modify_rule" else getattr(balanced.elb, name)

    with pytest.raises(NotRolledBack, match="after it was changed"):
        settle(balanced.described, "alarm", Deaf(), balanced.ssm, now=NOW)


def test_a_rule_that_does_not_forward_is_left_to_a_person(balanced: Balanced) -> None:
    balanced.elb.modify_rule(
        RuleArn=balanced.rule,
        Actions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503"}}],
    )
    with pytest.raises(NotRolledBack, match="forwards to no target group"):
        balanced.settle("alarm")


def test_an_event_for_another_reason_is_refused(balanced: Balanced) -> None:
    with pytest.raises(ValueError, match="why is 'hunch'; EventBridge sends alarm or lease"):
        settle_all({"why": "hunch", "canaries": []}, balanced.elb, balanced.ssm, now=NOW)


def test_lambda_calls_it_with_what_eventbridge_sends(balanced: Balanced, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    outcome = canary_rollback.handler({"why": "alarm", "canaries": [balanced.described]}, None)
    assert outcome == {balanced.rule: "taken back"}
