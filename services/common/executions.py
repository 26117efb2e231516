"""The saga's executions: started from the outbox under the order's id, and read back as a trail."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from services.common import telemetry
from services.common.aws import Threads
from services.common.outbox import OutboxMessage

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


class ExecutionStarter:
    """A publisher that starts the execution named ``message.topic``, at most ``per_second`` of them.

    The name makes it exactly once: a Standard execution's name is unique for 90 days
    (docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html).
    """

    def __init__(self, client: SFNClient, state_machine_arn: str, threads: Threads, *, per_second: float) -> None:
        self._client, self._arn, self._threads = client, state_machine_arn, threads
        self._gap, self._next = 1 / per_second, 0.0

    async def publish(self, message: OutboxMessage) -> None:
        """Start it; an execution of that name that exists already is as good."""
        await self._turn()
        trace = telemetry.traceparent()
        try:
            await self._threads(
                self._client.start_execution,
                stateMachineArn=self._arn,
                name=message.topic,
                input=json.dumps({**message.payload, telemetry.TRACEPARENT: trace} if trace else message.payload),
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
                raise

    async def _turn(self) -> None:
        now = asyncio.get_running_loop().time()
        self._next = max(now, self._next + self._gap)
        await asyncio.sleep(self._next - now)


def execution_arn(state_machine_arn: str, name: str) -> str:
    """The ARN of the execution ``name``; it names the state machine and not the alias that started it."""
    machine = ":".join(state_machine_arn.split(":")[:7])
    return f"{machine.replace(':stateMachine:', ':execution:', 1)}:{name}"


class ExecutionReader:
    """Reads what the state machine itself recorded."""

    def __init__(self, client: SFNClient, state_machine_arn: str, threads: Threads) -> None:
        self._client, self._arn, self._threads = client, state_machine_arn, threads

    async def read(self, name: str) -> dict[str, Any]:
        """Status and steps of the execution ``name``; status NOT_STARTED when there is none yet."""
        arn = execution_arn(self._arn, name)
        try:
            status = (await self._threads(self._client.describe_execution, executionArn=arn))["status"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionDoesNotExist":
                raise
            return {"executionArn": arn, "status": "NOT_STARTED", "steps": []}
        return {"executionArn": arn, "status": status, "steps": trail(await self._threads(self._history, arn))}

    def _history(self, arn: str) -> list[dict[str, Any]]:
        pages = self._client.get_paginator("get_execution_history").paginate(executionArn=arn)
        return [dict(event) for page in pages for event in page["events"]]


_OUTCOMES = {
    "TaskSucceeded": "succeeded",
    "TaskFailed": "failed",
    "TaskTimedOut": "timed out",
    "TaskSubmitFailed": "failed",
    "TaskStartFailed": "failed",
}


def trail(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One entry per attempt of each task of an execution's history, in the order of their beginnings.

    An attempt that has no answer yet has the outcome `running`.
    """
    by_id = {event["id"]: event for event in events}
    attempts: list[dict[str, Any]] = []
    for event in events:
        if event["type"] == "TaskScheduled":
            step = _state_of(event, by_id)
            attempts.append(
                {
                    "step": step,
                    "attempt": 1 + sum(a["step"] == step for a in attempts),
                    "outcome": "running",
                    "startedAt": event["timestamp"].isoformat(),
                    "finishedAt": None,
                    "error": None,
                }
            )
        elif event["type"] in _OUTCOMES:
            step = _state_of(event, by_id)
            details: dict[str, Any] = next((v for k, v in event.items() if k.endswith("EventDetails")), {})
            for attempt in reversed(attempts):
                if attempt["step"] == step and attempt["outcome"] == "running":
                    attempt["outcome"] = _OUTCOMES[event["type"]]
                    attempt["finishedAt"] = event["timestamp"].isoformat()
                    attempt["error"] = details.get("error")
                    break
    return attempts


def _state_of(event: dict[str, Any], by_id: dict[int, dict[str, Any]]) -> str:
    seen: dict[str, Any] | None = event
    while seen is not None:
        if seen["type"] == "TaskStateEntered":
            return str(seen["stateEnteredEventDetails"]["name"])
        seen = by_id.get(seen.get("previousEventId", 0))
    return "unknown"
