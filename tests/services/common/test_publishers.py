"""What the relay relies upon, asked of each publisher: RabbitMQ's, Step Functions', and the one that tests use."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import boto3
import pytest

from components.broker_topology import Subscription
from services.common import aws, rabbitmq
from services.common.executions import ExecutionStarter
from services.common.outbox import OutboxMessage, Publisher
from services.contracts import Event
from tests.services.broker import Broker
from tests.services.common.test_outbox import Recorder

REGION = "eu-west-3"


@dataclass(frozen=True, slots=True)
class Trial:
    """A publisher, one whose other side is not there, and what arrived: an id for each thing, however often it came."""

    publisher: Publisher
    cut_off: Publisher
    arrived: Callable[[], Awaitable[set[str]]]
    message: OutboxMessage
    expected: str


@pytest.fixture(params=["recorder", "rabbitmq", "step functions"])
async def trial(request: pytest.FixtureRequest) -> AsyncIterator[Trial]:
    match request.param:
        case "recorder":
            yield _recorder()
        case "rabbitmq":
            async with _broker(request.getfixturevalue("broker")) as made:
                yield made
        case _:
            request.getfixturevalue("aws_server")
            yield _machine()


def _recorder() -> Trial:
    recorder, message = Recorder(), _message(Event.ORDER_PLACED.value)

    async def arrived() -> set[str]:
        return {str(each) for each in recorder.published}

    return Trial(recorder, Recorder(refuse=1), arrived, message, str(message.id))


@asynccontextmanager
async def _broker(broker: Broker) -> AsyncIterator[Trial]:
    name, message = f"test.{uuid.uuid4()}", _message(Event.ORDER_PLACED.value)
    url = broker(["booking"], [Subscription(service="booking", queue=name, topics=[message.topic])])("admin")
    async with rabbitmq.connection(url) as connected, connected.channel() as channel:
        queue = await channel.get_queue(name)
        ended = await connected.channel()
        await ended.close()

        async def arrived() -> set[str]:
            found = set[str]()
            while (got := await queue.get(fail=False)) is not None:
                await got.ack()
                found.add(str(got.message_id))
            return found

        made = rabbitmq.EventPublisher(channel), rabbitmq.EventPublisher(ended)
        yield Trial(*made, arrived, message, str(message.id))


def _machine() -> Trial:
    client, message = aws.step_functions(REGION), _message(str(uuid.uuid4()))
    states = {"StartAt": "Done", "States": {"Done": {"Type": "Pass", "End": True}}}
    arn = boto3.client("stepfunctions", region_name=REGION).create_state_machine(
        name=uuid.uuid4().hex, definition=json.dumps(states), roleArn="arn:aws:iam::123456789012:role/saga"
    )["stateMachineArn"]

    async def arrived() -> set[str]:
        found = await asyncio.to_thread(client.list_executions, stateMachineArn=arn)
        return {execution["name"] for execution in found["executions"]}

    made = [ExecutionStarter(client, name, aws.Threads(2), per_second=1_000) for name in (arn, f"{arn}-of-nobody")]
    return Trial(made[0], made[1], arrived, message, message.topic)


def _message(topic: str) -> OutboxMessage:
    payload = {"orderId": str(uuid.uuid4())}
    return OutboxMessage(uuid.uuid4(), "anywhere", topic, payload, datetime.now(UTC).isoformat())


async def test_what_was_published_has_arrived_and_published_again_it_is_the_same(trial: Trial) -> None:
    for _ in range(2):
        await trial.publisher.publish(trial.message)
    assert await trial.arrived() == {trial.expected}


async def test_what_cannot_be_delivered_raises_and_has_not_arrived(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rabbitmq, "CONFIRM_SECONDS", 0.5)
    with pytest.raises(Exception):  # noqa: B017, PT011 each side has errors of its own; the relay tells none apart
        await trial.cut_off.publish(trial.message)
    assert await trial.arrived() == set()
