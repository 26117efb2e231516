"""The order saga as an Amazon States Language definition, built by a pure function (the contract is docs/saga.md).

Hold, authorise, confirm seats, capture, issue tickets, notify. Capture is the pivot. Before it, a failure is undone:
the payment first, so that nobody is charged for seats that are already on sale again, then the seats. After it, steps
are retried forward, and money goes back only when a seat is provably gone. What cannot be decided waits for a person,
with the execution still alive: the answer to its task token says where it goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OPERATOR = "operator"
SERVICES = ("booking", "payment", "notification")
# What a person may answer to a parked order, and where the saga goes on.
DECISIONS = {"capture": "CapturePayment", "issue": "IssueTickets", "refund": "RefundPayment", "cancel": "CancelPayment"}

_TASK = "arn:aws:states:::sqs:sendMessage.waitForTaskToken"
# Seconds. A worker beats every 20 s; three lost beats are a lost worker.
_HEARTBEAT, _TIMEOUT = 60, 300
# Seconds: the bank may ask the buyer to authenticate, who has 15 minutes for it (docs/saga.md).
_AUTHORISE_TIMEOUT = 1200
# Seconds: as long as SQS keeps the message that tells of the parked order (SQS Developer Guide, "Message quotas").
_OPERATOR_TIMEOUT = 14 * 24 * 3600
_UNDECIDED = (
    "Transient",
    "Payment.Unknown",
    "States.Timeout",
    "States.HeartbeatTimeout",
    "SQS.SdkClientException",
    "SQS.AmazonSQSException",
)
_ATTEMPTS = 5


def definition(queues: Mapping[str, str]) -> dict[str, Any]:
    """The state machine; ``queues`` maps each service, and the operator, to its queue's URL.

    Raises ValueError when a queue is missing.
    """
    missing = {*SERVICES, OPERATOR} - set(queues)
    if missing:
        raise ValueError(f"queues lacks {', '.join(sorted(missing))}; the saga sends commands to each of them")

    def step(
        command: str, then: str, *otherwise: tuple[tuple[str, ...], str], timeout: int = _TIMEOUT
    ) -> dict[str, Any]:
        return _step(queues[command.split(".")[0]], command, then, otherwise, timeout)

    any_error = ("States.ALL",)
    undo, operator = (any_error, "CancelPayment"), (any_error, "NeedsOperator")
    return {
        "Comment": "The order saga: docs/saga.md",
        "StartAt": "AuthorisePayment",
        "States": {
            "AuthorisePayment": step(
                "payment.authorise",
                "ConfirmSeats",
                (("Payment.Declined", "Refused"), "ReleaseSeats"),
                undo,
                timeout=_AUTHORISE_TIMEOUT,
            ),
            "ConfirmSeats": step("booking.confirm_seats", "CapturePayment", undo),
            "CapturePayment": step(
                "payment.capture", "IssueTickets", (("Payment.Declined", "Refused"), "CancelPayment"), operator
            ),
            "IssueTickets": step(
                "booking.issue_tickets", "SendNotification", (("Seat.Gone",), "RefundPayment"), operator
            ),
            "SendNotification": step("notification.send", "Booked", (any_error, "Booked")),
            "Booked": _end("booked"),
            "CancelPayment": step("payment.cancel", "ReleaseSeats", operator),
            "RefundPayment": step("payment.refund", "ReleaseSeats", operator),
            "ReleaseSeats": step("booking.release", "CancelOrder", operator),
            "CancelOrder": step("booking.cancel_order", "Cancelled", operator),
            "Cancelled": _end("cancelled"),
            "NeedsOperator": step("booking.needs_operator", "AwaitOperator", (any_error, "AwaitOperator")),
            "AwaitOperator": _await_operator(queues[OPERATOR]),
            "Decide": {
                "Type": "Choice",
                "Choices": [
                    {"Variable": "$.operator.decision", "StringEquals": decision, "Next": state}
                    for decision, state in DECISIONS.items()
                ],
                "Default": "AwaitOperator",
            },
            "Abandoned": {
                "Type": "Fail",
                "Error": "NeedsOperator",
                "Cause": "Nobody decided in 14 days; runbooks/stuck_saga.md",
            },
        },
    }


def _message(queue: str, command: str) -> dict[str, Any]:
    return {
        "QueueUrl": queue,
        "MessageBody": {
            "command": command,
            "taskToken.$": "$$.Task.Token",
            "executionArn.$": "$$.Execution.Id",
            "orderId.$": "$.orderId",
            "input.$": "$$.Execution.Input",
        },
    }


def _step(
    queue: str, command: str, then: str, otherwise: tuple[tuple[tuple[str, ...], str], ...], timeout: int
) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": _TASK,
        "Parameters": _message(queue, command),
        "HeartbeatSeconds": _HEARTBEAT,
        "TimeoutSeconds": timeout,
        "Retry": [
            {
                "ErrorEquals": list(_UNDECIDED),
                "IntervalSeconds": 1,
                "BackoffRate": 2,
                "MaxDelaySeconds": 30,
                "JitterStrategy": "FULL",
                "MaxAttempts": _ATTEMPTS,
            }
        ],
        "Catch": [
            {"ErrorEquals": list(errors), "ResultPath": "$.failure", "Next": state} for errors, state in otherwise
        ],
        # Each service keeps its own results: the execution carries ids only.
        "ResultPath": None,
        "Next": then,
    }


def _await_operator(queue: str) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": _TASK,
        "Parameters": _message(queue, "operator.decide"),
        "TimeoutSeconds": _OPERATOR_TIMEOUT,
        "ResultPath": "$.operator",
        "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "Abandoned"}],
        "Next": "Decide",
    }


def _end(outcome: str) -> dict[str, Any]:
    return {"Type": "Pass", "Parameters": {"orderId.$": "$.orderId", "outcome": outcome}, "End": True}
