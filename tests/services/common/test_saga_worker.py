"""The worker: one outcome per command, answered to whoever asks, whatever dies in between."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Mapping
from typing import Any

import asyncpg
import boto3
import pytest

from services.common import aws, inbox
from services.common.inbox import Claim, Outcome, StaleLease
from services.common.saga_worker import Handler, Queue, SagaWorker
from services.contracts import Command, Failure, SagaMessage
from tests.services.conftest import eventually
from tests.services.samples import message

REGION = "eu-west-3"
STEP = Command.CONFIRM_SEATS


class Machine:
    """A state machine of one step on a queue of its own."""

    def __init__(self) -> None:
        self.sqs = boto3.client("sqs", region_name=REGION)
        self.sfn = boto3.client("stepfunctions", region_name=REGION)
        name = uuid.uuid4().hex
        self.queue = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        body = {
            "command": STEP.value,
            "taskToken.$": "$$.Task.Token",
            "executionArn.$": "$$.Execution.Id",
            "orderId.$": "$.orderId",
            "input.$": "$$.Execution.Input",
        }
        state = {
            "Type": "Task",
            "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            "Parameters": {"QueueUrl": self.queue, "MessageBody": body},
            "Retry": [{"ErrorEquals": ["Transient"], "IntervalSeconds": 1, "MaxAttempts": 3}],
            "End": True,
        }
        self.arn = self.sfn.create_state_machine(
            name=name,
            definition=json.dumps({"StartAt": "Step", "States": {"Step": state}}),
            roleArn="arn:aws:iam::123456789012:role/saga",
        )["stateMachineArn"]

    def start(self) -> str:
        order = str(uuid.uuid4())
        sent = message(STEP, order)
        return self.sfn.start_execution(
            stateMachineArn=self.arn, name=order, input=json.dumps(sent.input.model_dump())
        )["executionArn"]

    async def status(self, execution: str) -> str:
        found = await asyncio.to_thread(self.sfn.describe_execution, executionArn=execution)
        return str(found["status"])

    def worker(self, pool: asyncpg.Pool, handlers: Mapping[Command, Handler], **rhythm: float) -> SagaWorker:
        queue = Queue(url=self.queue, wait=1, **{"lease": 2.0, "heartbeat": 0.3, **rhythm})  # type: ignore[arg-type]
        return SagaWorker(
            "booking",
            queue,
            handlers,
            pool=pool,
            sqs=aws.sqs(REGION, longest_poll=1, connections=20),
            step_functions=aws.step_functions(REGION, connections=20),
        )


@pytest.fixture
def machine(aws_server: str) -> Machine:
    return Machine()


class Steps:
    """A handler that decides, and counts."""

    def __init__(self, pool: asyncpg.Pool, *, failures: int = 0, outcome: Outcome | None = None) -> None:
        self.calls, self._pool, self._failures = 0, pool, failures
        self._outcome = outcome or Outcome({"holdId": "hold-1"})

    async def __call__(self, sent: SagaMessage, claim: Claim) -> Outcome:
        self.calls += 1
        if self.calls <= self._failures:
            raise ConnectionError("the database is away")
        async with self._pool.acquire() as connection, connection.transaction():
            await claim.decide(connection, self._outcome)
        return self._outcome


async def run(worker: SagaWorker, machine: Machine, execution: str, status: str) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))

    async def ended() -> bool:
        return await machine.status(execution) == status

    try:
        await eventually(ended)
    finally:
        stop.set()
        await running


async def received(machine: Machine) -> dict[str, Any]:
    answer = await asyncio.to_thread(
        machine.sqs.receive_message, QueueUrl=machine.queue, WaitTimeSeconds=5, VisibilityTimeout=1
    )
    [found] = answer["Messages"]
    return dict(found)


async def test_a_command_is_carried_out_and_answered(booking: asyncpg.Pool, machine: Machine) -> None:
    steps, execution = Steps(booking), machine.start()
    await run(machine.worker(booking, {STEP: steps}), machine, execution, "SUCCEEDED")
    assert steps.calls == 1
    assert await booking.fetchval("SELECT answered_at IS NOT NULL FROM inbox")


async def test_a_technical_fault_is_retried_by_the_state_machine(booking: asyncpg.Pool, machine: Machine) -> None:
    steps, execution = Steps(booking, failures=2), machine.start()
    await run(machine.worker(booking, {STEP: steps}), machine, execution, "SUCCEEDED")
    assert steps.calls == 3


async def test_a_decided_failure_ends_the_step(booking: asyncpg.Pool, machine: Machine) -> None:
    steps = Steps(booking, outcome=Outcome(error=Failure.HOLD_LOST, cause="expired"))
    await run(machine.worker(booking, {STEP: steps}), machine, machine.start(), "FAILED")
    assert steps.calls == 1


async def test_an_unknown_command_fails_the_step_and_not_the_worker(booking: asyncpg.Pool, machine: Machine) -> None:
    await run(machine.worker(booking, {}), machine, machine.start(), "FAILED")


async def test_a_worker_killed_between_commit_and_answer_is_answered_for_by_the_next(
    booking: asyncpg.Pool, machine: Machine
) -> None:
    steps, execution = Steps(booking), machine.start()
    message_in_hand = SagaMessage.model_validate_json((await received(machine))["Body"])
    claim = await inbox.claim(booking, "booking", message_in_hand, seconds=30)
    assert isinstance(claim, Claim)
    await steps(message_in_hand, claim)  # committed, then killed: neither answered nor deleted
    await run(machine.worker(booking, {STEP: steps}), machine, execution, "SUCCEEDED")
    assert steps.calls == 1


async def test_the_same_message_delivered_fifty_times_is_carried_out_once(
    booking: asyncpg.Pool, machine: Machine
) -> None:
    steps, execution = Steps(booking), machine.start()
    delivery = await received(machine)
    worker = machine.worker(booking, {STEP: steps})
    await asyncio.gather(*(worker.process(delivery) for _ in range(50)))
    assert (steps.calls, await machine.status(execution)) == (1, "SUCCEEDED")


async def test_a_late_token_is_taken_as_decided(booking: asyncpg.Pool, machine: Machine) -> None:
    steps, execution = Steps(booking), machine.start()
    delivery = await received(machine)
    token = json.loads(delivery["Body"])["taskToken"]
    machine.sfn.send_task_success(taskToken=token, output="{}")
    await eventually(lambda: _is(machine, execution, "SUCCEEDED"))
    await machine.worker(booking, {STEP: steps}).process(delivery)
    assert await booking.fetchval("SELECT answered_at IS NOT NULL FROM inbox")


async def _is(machine: Machine, execution: str, status: str) -> bool:
    return await machine.status(execution) == status


async def test_a_stale_lease_cannot_finish(booking: asyncpg.Pool) -> None:
    sent = message(STEP, str(uuid.uuid4()))
    stale = await inbox.claim(booking, "booking", sent, seconds=-1)
    fresh = await inbox.claim(booking, "booking", sent, seconds=30)
    assert isinstance(stale, Claim)
    assert isinstance(fresh, Claim)
    assert (stale.attempt, fresh.attempt) == (1, 2)
    async with booking.acquire() as connection:
        with pytest.raises(StaleLease):
            await stale.decide(connection, Outcome({"from": "stale"}))
        await fresh.decide(connection, Outcome({"from": "fresh"}))
    assert await inbox.claim(booking, "booking", sent, seconds=30) == Outcome({"from": "fresh"})


async def test_a_slow_command_keeps_its_lease_by_heartbeats(booking: asyncpg.Pool, machine: Machine) -> None:
    execution, steps = machine.start(), Steps(booking)

    async def slow(sent: SagaMessage, claim: Claim) -> Outcome:
        await asyncio.sleep(2.5)  # longer than the lease
        return await steps(sent, claim)

    worker = machine.worker(booking, {STEP: slow}, lease=1.0)
    await run(worker, machine, execution, "SUCCEEDED")
    assert (steps.calls, await booking.fetchval("SELECT attempts FROM inbox")) == (1, 1)


async def test_a_worker_told_to_stop_finishes_what_it_has(booking: asyncpg.Pool, machine: Machine) -> None:
    execution, steps, begun, stop = machine.start(), Steps(booking), asyncio.Event(), asyncio.Event()

    async def slow(sent: SagaMessage, claim: Claim) -> Outcome:
        begun.set()
        await asyncio.sleep(0.5)
        return await steps(sent, claim)

    running = asyncio.create_task(machine.worker(booking, {STEP: slow}).run(stop))
    await begun.wait()
    stop.set()
    await running
    assert await machine.status(execution) == "SUCCEEDED"


async def test_what_is_not_a_command_is_left_for_the_dead_letters(booking: asyncpg.Pool, machine: Machine) -> None:
    machine.sqs.send_message(QueueUrl=machine.queue, MessageBody='{"command": "booking.confirm_seats"}')
    delivery = await received(machine)
    await machine.worker(booking, {STEP: Steps(booking)}).process(delivery)
    assert (await booking.fetchval("SELECT count(*) FROM inbox"), (await received(machine))["Body"]) == (
        0,
        delivery["Body"],
    )
