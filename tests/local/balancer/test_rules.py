"""A listener is read as ALB reads it and written for HAProxy; HAProxy's log is counted as ALB counts."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.local.balancer.configuration import Group, Place, maps
from scripts.local.balancer.counts import Counts
from scripts.local.balancer.rules import NotUnderstood, read
from scripts.local.balancer.targets import targets

HERE = "arn:aws:elasticloadbalancing:eu-west-3:1:listener-rule/app/x/1/2"


def rule(priority: str, action: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "RuleArn": f"{HERE}/{priority}",
        "Priority": priority,
        "IsDefault": priority == "default",
        "Conditions": [],
        "Actions": [action],
        **more,
    }


def forward(**weights: int) -> dict[str, Any]:
    groups = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights.items()]
    stickiness = {"Enabled": True, "DurationSeconds": 600}
    return {"Type": "forward", "ForwardConfig": {"TargetGroups": groups, "TargetGroupStickinessConfig": stickiness}}


def group(arn: str, place: Any = frozenset()) -> Group:
    return Group(arn=arn, name=arn, path="/readyz", interval=1, timeout=1, rise=1, fall=5, targets=place)


def test_rules_are_tried_in_order_of_their_numbers_and_the_default_one_last() -> None:
    found = read([rule(priority, forward(a=1)) for priority in ("default", "100", "20")])
    assert [each.id for each in found] == ["20", "100", "default"]


def test_only_a_choice_between_groups_sticks() -> None:
    both, one = read([rule("1", forward(a=1, b=0)), rule("2", {"Type": "forward", "TargetGroupArn": "a"})])
    assert (both.sticky, dict(both.shares)) == (600, {"a": 1, "b": 0})
    assert (one.sticky, dict(one.shares)) == (0, {"a": 1})


@pytest.mark.parametrize(
    ("said", "names"),
    [
        (rule("1", {"Type": "redirect"}), "the action redirect"),
        (rule("1", forward(a=1), Conditions=[{"Field": "source-ip"}]), "a condition on source-ip"),
        (rule("1", forward(a=1), Transforms=[{"Type": "host-header-rewrite"}]), "the transform host-header-rewrite"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(said: dict[str, Any], names: str) -> None:
    with pytest.raises(NotUnderstood, match=names):
        read([said])


@pytest.mark.parametrize(
    ("weights", "ranges"),
    [
        ({"a": 999, "b": 1}, {"0:998999": "a", "999000:999999": "b"}),
        ({"a": 999, "b": 0}, {"0:999999": "a"}),
        ({"a": 0, "b": 0}, {}),
        ({"a": 1, "b": 1}, {"0:499999": "a", "500000:999999": "b"}),
    ],
)
def test_a_weight_is_its_share_of_all_numbers(weights: dict[str, int], ranges: dict[str, str], place: Place) -> None:
    found = maps(place, read([rule("1", forward(**weights))]), [group("a"), group("b")])
    assert found[place.folder / "rule-1.map"] == ranges


def test_a_request_is_counted_for_the_group_that_it_went_to_and_an_error_for_whoever_made_it() -> None:
    counts = Counts()
    for line in (*["a a-1 200 12"] * 3, "a a-1 500 40", "a <NOSRV> 503 -1", "b b-1 502 -1"):
        counts.count(line)
    told = {
        (each["MetricName"], each["Dimensions"][-1]["Value"]): each
        for each in counts.taken("app/x/1", {"a": "targetgroup/a", "b": "targetgroup/b"}, {"a": {"1": "unhealthy"}})
    }
    sums = {key: each["StatisticValues"]["Sum"] for key, each in told.items() if "StatisticValues" in each}
    assert sums == {
        ("HTTPCode_ELB_5XX_Count", "app/x/1"): 2,
        ("RequestCount", "targetgroup/a"): 4,
        ("HTTPCode_Target_5XX_Count", "targetgroup/a"): 1,
        ("RequestCount", "targetgroup/b"): 1,
    }
    times = told["TargetResponseTime", "targetgroup/a"]
    assert dict(zip(times["Values"], times["Counts"], strict=True)) == {0.012: 3, 0.04: 1}
    assert told["UnHealthyHostCount", "targetgroup/a"]["Value"] == 1
    assert not list(counts.taken("app/x/1", {"a": "targetgroup/a"}, {}))


def test_targets_are_the_ready_pods_of_the_service_that_stay() -> None:
    labels = {"app": "web"}

    def pod(address: str, ready: str = "True", **metadata: Any) -> dict[str, Any]:
        return {
            "metadata": {"name": address, "namespace": "n", "labels": labels, **metadata},
            "spec": {"containers": [{"ports": [{"name": "http", "containerPort": 8080}]}]},
            "status": {"podIP": address, "conditions": [{"type": "Ready", "status": ready}]},
        }

    service = {
        "metadata": {"name": "web", "namespace": "n"},
        "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": "http"}]},
    }
    binding = {"metadata": {"namespace": "n"}, "spec": {"serviceRef": {"name": "web", "port": 80}}}
    pods = [
        *(pod("127.0.0.1"), pod("127.0.0.2", ready="False"), pod("127.0.0.3", deletionTimestamp="now")),
        pod("127.0.0.4", labels={"app": "another"}),
    ]
    assert targets(binding, [service], pods) == {("127.0.0.1", 8080)}
