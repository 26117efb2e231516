"""The simulated cloud refuses what a role does not allow, when it is asked to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from scripts.local.cloud import running
from tests.support.permissions import denied, enforcing, taking

Client = Callable[..., Any]
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "pods.eks.amazonaws.com"}}
        ],
    }
)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[running.Addresses]:
    """One of its own: enforcement holds for everybody on it."""
    with running.running(folder=tmp_path_factory.mktemp("cloud")) as addresses:
        yield addresses


def allowing(cloud: running.Addresses, name: str, *statements: dict[str, Any]) -> Client:
    """Clients of a new role with ``statements``."""
    iam = cloud.client("iam")
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=document)
    return taking(cloud, arn)


def test_only_what_is_allowed_on_the_queue_that_is_named(cloud: running.Addresses) -> None:
    sqs = cloud.client("sqs")
    mine, other = (sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("mine", "other"))
    arn = sqs.get_queue_attributes(QueueUrl=mine, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    worker = allowing(cloud, "worker", {"Effect": "Allow", "Action": ["sqs:ReceiveMessage"], "Resource": [arn]})("sqs")
    with enforcing(cloud):
        assert "Messages" not in worker.receive_message(QueueUrl=mine)
        assert denied(worker.receive_message, QueueUrl=other)
        assert denied(worker.purge_queue, QueueUrl=mine)
    sqs.purge_queue(QueueUrl=mine)


@pytest.mark.parametrize(("over_tls", "allowed"), [("false", True), ("true", False)])
def test_a_deny_holds_when_its_condition_does(cloud: running.Addresses, over_tls: str, allowed: bool) -> None:
    found = allowing(
        cloud,
        f"reader-{over_tls}",
        {"Effect": "Allow", "Action": ["sqs:ListQueues"], "Resource": ["*"]},
        {
            "Effect": "Deny",
            "Action": ["sqs:*"],
            "Resource": ["*"],
            "Condition": {"Bool": {"aws:SecureTransport": over_tls}},
        },
    )("sqs")
    with enforcing(cloud):
        assert denied(found.list_queues) != allowed


def test_a_call_that_fails_for_another_reason_is_not_taken_for_a_denial(cloud: running.Addresses) -> None:
    with pytest.raises(ClientError, match="does not exist"):
        denied(cloud.client("sqs").get_queue_url, QueueName="nothing")
