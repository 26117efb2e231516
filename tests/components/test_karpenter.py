"""Karpenter: what it may buy, what it may do in AWS, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from pulumi_aws import cloudwatch, sqs

from components.karpenter import Karpenter, KarpenterArgs, node_pool, values
from components.karpenter_policy import controller_policy
from tests.support.recording import CONTEXT, PLACE, record

ARGS = KarpenterArgs(
    cluster_name="dev-cluster",
    cluster_id="dev-cluster",
    subnet_ids=["subnet-1"],
    security_group_id="sg-1",
    node_role_name="nodes",
    node_role_arn="arn:aws:iam::123456789012:role/nodes",
    spot=True,
    cpu=16,
    memory_gib=32,
    needed_cpu=12,
    needed_memory_gib=24,
)
STATEMENTS = json.loads(
    controller_policy(PLACE, cluster="dev-cluster", queue_arn="arn:queue", node_role_arn=str(ARGS.node_role_arn))
)["Statement"]
MARK = "kubernetes.io/cluster/dev-cluster"


@pytest.mark.parametrize(("limit", "message"), [("cpu", r"limits\.cpu is 4"), ("memory_gib", r"memory_gib is 4")])
def test_fewer_machines_than_pods_may_ask_for_are_refused(limit: str, message: str) -> None:
    fewer: dict[str, Any] = {limit: 4}
    with pytest.raises(ValueError, match=message):
        replace(ARGS, **fewer)


def test_the_spot_market_is_used_only_where_it_is_allowed() -> None:
    def markets(args: KarpenterArgs) -> list[str]:
        [found] = [
            each["values"]
            for each in node_pool(args)["template"]["spec"]["requirements"]
            if each["key"] == "karpenter.sh/capacity-type"
        ]
        return list(found)

    assert markets(ARGS) == ["spot", "on-demand"]
    assert markets(replace(ARGS, spot=False)) == ["on-demand"]


@pytest.mark.parametrize("action", ["ec2:TerminateInstances", "ec2:DeleteLaunchTemplate"])
def test_it_ends_only_machines_of_its_own_cluster(action: str) -> None:
    [statement] = [each for each in STATEMENTS if action in each["Action"]]
    assert statement["Condition"] == {"StringEquals": {f"aws:ResourceTag/{MARK}": "owned"}}


def test_what_it_makes_carries_the_cluster_s_mark_as_it_is_made() -> None:
    [statement] = [each for each in STATEMENTS if "ec2:CreateLaunchTemplate" in each["Action"]]
    assert statement["Condition"] == {"StringEquals": {f"aws:RequestTag/{MARK}": "owned"}}


def test_it_hands_out_the_nodes_role_alone_and_to_machines_alone() -> None:
    [statement] = [each for each in STATEMENTS if each["Action"] == ["iam:PassRole"]]
    assert statement["Resource"] == [ARGS.node_role_arn]
    assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}


def test_nothing_but_looking_is_allowed_on_everything() -> None:
    for statement in STATEMENTS:
        if statement["Resource"] == ["*"]:
            assert all(action.startswith(("ec2:Describe", "pricing:Get")) for action in statement["Action"])


def test_aws_tells_the_queue_of_every_kind_of_warning_and_nobody_else_may() -> None:
    made = record(lambda: Karpenter("karpenter", ARGS, context=CONTEXT))
    assert {name.rsplit("-", 1)[1] for name in made.all(cloudwatch.EventRule)} == {
        "interruption",
        "rebalance",
        "state",
        "health",
    }
    allowed, denied = made.one(sqs.QueuePolicy, "karpenter-warnings").json("policy")["Statement"]
    assert allowed["Principal"] == {"Service": "events.amazonaws.com"}
    assert denied["Effect"] == "Deny"


@pytest.mark.parametrize(("production", "replicas"), [(True, 2), (False, 1)])
def test_the_controller_runs_restricted_bounded_and_twice_in_production(production: bool, replicas: int) -> None:
    chosen = values("cluster", "queue", production=production)
    assert chosen["replicas"] == replicas
    assert chosen["podSecurityContext"]["runAsNonRoot"]
    assert chosen["controller"]["resources"]["limits"]["memory"]
