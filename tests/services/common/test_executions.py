"""A saga is started once under its order's id, and its history reads as a trail."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from services.common import aws
from services.common.executions import ExecutionReader, ExecutionStarter, trail
from services.common.outbox import OutboxMessage

REGION = "eu-west-3"
AT = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def machine(aws_server: str) -> str:
    states = {"StartAt": "Done", "States": {"Done": {"Type": "Pass", "End": True}}}
    created = boto3.client("stepfunctions", region_name=REGION).create_state_machine(
        name=uuid.uuid4().hex, definition=json.dumps(states), roleArn="arn:aws:iam::123456789012:role/saga"
    )
    return created["stateMachineArn"]


async def test_an_order_published_twice_is_one_execution(machine: str) -> None:
    client, order = aws.step_functions(REGION), str(uuid.uuid4())
    starter = ExecutionStarter(client, machine, aws.Threads(2), per_second=1_000)
    for _ in range(3):
        await starter.publish(OutboxMessage(uuid.uuid4(), "saga", order, {"orderId": order}, AT.isoformat()))
    executions = client.list_executions(stateMachineArn=machine)["executions"]
    assert [execution["name"] for execution in executions] == [order]


async def test_an_order_whose_saga_has_not_begun_has_an_empty_trail(machine: str) -> None:
    reader = ExecutionReader(aws.step_functions(REGION), machine, aws.Threads(2))
    found = await reader.read(str(uuid.uuid4()))
    assert (found["status"], found["steps"]) == ("NOT_STARTED", [])


def test_each_attempt_of_a_step_is_told_with_its_outcome() -> None:
    def event(number: int, kind: str, **details: Any) -> dict[str, Any]:
        return {"id": number, "previousEventId": number - 1, "type": kind, "timestamp": AT, **details}

    events = [
        event(1, "ExecutionStarted"),
        event(2, "TaskStateEntered", stateEnteredEventDetails={"name": "CapturePayment"}),
        event(3, "TaskScheduled"),
        event(4, "TaskStarted"),
        event(5, "TaskFailed", taskFailedEventDetails={"error": "Payment.Unknown"}),
        event(6, "TaskScheduled"),
        event(7, "TaskSucceeded", taskSucceededEventDetails={"output": "{}"}),
        event(8, "TaskStateEntered", stateEnteredEventDetails={"name": "IssueTickets"}),
        event(9, "TaskScheduled"),
    ]
    assert [(s["step"], s["attempt"], s["outcome"], s["error"]) for s in trail(events)] == [
        ("CapturePayment", 1, "failed", "Payment.Unknown"),
        ("CapturePayment", 2, "succeeded", None),
        ("IssueTickets", 1, "running", None),
    ]
