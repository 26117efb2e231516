"""Events that their consumer failed on, and commands of an order that waits and of one that has ended."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aio_pika
import pytest

from components.broker_topology import EVENTS, Subscription
from runbooks._kit.rabbitmq import Broker as Connection
from runbooks._kit.sqs import SqsQueue
from runbooks.dead_letter_redrive import DeadLetterRedrive
from scripts.local.servers.rabbitmq import RabbitMQ
from tests.runbooks.bench import Bench
from tests.runbooks.environment import ACCOUNT, Environment
from tests.runbooks.faults import Fault
from tests.services.broker import Broker

_ROLE = f"arn:aws:iam::{ACCOUNT}:role/machine"
_WAITS = {"Type": "Wait", "Seconds": 3600, "End": True}
_ENDS = {"Type": "Pass", "End": True}
_SECONDS = 20


@dataclass(frozen=True)
class Events:
    """A queue of events with its dead letters, and the broker's administrator."""

    environment: Environment
    queue: str
    url: str

    def die(self, *ids: str, rejected: bool = False, published: bool = True) -> None:
        """Publish events that their consumer gives back until the broker has enough, or that it cannot read.

        Those that are not to be ``published`` are in the queue already.
        """
        asyncio.run(self._die(ids, rejected, published))

    async def _die(self, ids: Sequence[str], rejected: bool, published: bool) -> None:
        async with await aio_pika.connect(self.url) as connection, connection.channel() as channel:
            exchange, queue = await channel.get_exchange(EVENTS), await channel.get_queue(self.queue)
            before = await self._dead(channel)
            for name in ids if published else ():
                event = aio_pika.Message(b"{}", message_id=name or None, type="order.completed", headers={"of": "ours"})
                await exchange.publish(event, routing_key=self.queue)
            async with asyncio.timeout(_SECONDS):
                while await self._dead(channel) < before + len(ids):
                    if (got := await queue.get(fail=False)) is not None:
                        await got.reject(requeue=not rejected)

    async def _dead(self, channel: Any) -> int:
        declared = await channel.declare_queue(f"{self.queue}.dead", passive=True)
        return int(declared.declaration_result.message_count)

    def inside(self, queue: str) -> list[str]:
        """Ids of what is in a queue, the oldest first."""
        with Connection.connected(self.environment.target()) as broker, broker.queue(queue).taken() as messages:
            return [message.id for message in messages]

    @property
    def alive(self) -> list[str]:
        return self.inside(self.queue)

    @property
    def dead(self) -> list[str]:
        return self.inside(f"{self.queue}.dead")


@dataclass(frozen=True)
class Commands:
    """The commands of booking on SQS, and executions that wait or have ended."""

    environment: Environment
    url: str
    dead_url: str

    def execution(self, *, waits: bool) -> str:
        """Start an execution of an order; returns its ARN."""
        machine = self.environment.aws("stepfunctions")
        made = machine.create_state_machine(
            name=f"{self.environment.name}-{uuid.uuid4().hex[:6]}",
            roleArn=_ROLE,
            definition=json.dumps({"StartAt": "Step", "States": {"Step": _WAITS if waits else _ENDS}}),
        )
        arn = machine.start_execution(stateMachineArn=made["stateMachineArn"])["executionArn"]
        if not waits:
            while machine.describe_execution(executionArn=arn)["status"] == "RUNNING":
                pass
        return str(arn)

    def die(self, execution: str) -> str:
        """A command of ``execution`` among the dead letters; returns its body."""
        body = json.dumps({"command": "booking.issue_tickets", "taskToken": "a-token", "executionArn": execution})
        self.put(body)
        return body

    def put(self, body: str) -> None:
        self.environment.aws("sqs").send_message(QueueUrl=self.dead_url, MessageBody=body)

    @property
    def alive(self) -> list[str]:
        return self._inside(self.url)

    @property
    def dead(self) -> list[str]:
        return self._inside(self.dead_url)

    def _inside(self, url: str) -> list[str]:
        with SqsQueue(self.environment.aws("sqs"), url).taken() as messages:
            return sorted(message.body.decode() for message in messages)


@pytest.fixture
def events(environment: Environment, broker: Broker, rabbitmq_server: RabbitMQ) -> Events:
    queue = f"events-{uuid.uuid4().hex[:8]}"
    url = broker((), [Subscription(service="notification", queue=queue, topics=(queue,))])("admin")
    environment.broker(rabbitmq_server.management_url, url)
    return Events(environment, queue, url)


@pytest.fixture
def commands(environment: Environment) -> Commands:
    return Commands(environment, *environment.queue("booking"))


@pytest.fixture
def dead_letter_redrive(
    environment: Environment, events: Events, commands: Commands, rabbitmq_server: RabbitMQ, tmp_path: Path
) -> Fault:
    events.die("a", "b")
    commands.die(commands.execution(waits=True))
    commands.die(commands.execution(waits=False))
    runbook = replace(DeadLetterRedrive(queue=[events.queue, "booking"]), patience=0)
    return Fault(
        Bench(runbook, environment, tmp_path),
        state=lambda: (events.alive, events.dead, commands.alive, commands.dead),
        mended=lambda: (len(events.alive), len(commands.alive), events.dead, commands.dead) == (2, 1, [], []),
        secrets=(rabbitmq_server.password, "a-token"),
    )
