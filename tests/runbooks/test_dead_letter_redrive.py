"""Dead letters of commands and of events, on real queues: what goes back to work, what is parked, what is left."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aio_pika
import pytest

from components.broker_topology import EVENTS, Subscription
from runbooks import _kit as kit
from runbooks._kit.model import Exit
from runbooks._kit.rabbitmq import Broker as Connection
from runbooks.dead_letter_redrive import DeadLetterRedrive
from scripts.local.servers.rabbitmq import RabbitMQ
from tests.runbooks.bench import Bench
from tests.runbooks.environment import ACCOUNT, REGION, Environment
from tests.services.broker import Broker


@dataclass(frozen=True)
class Events:
    """A queue of events with its dead letters, and the broker's administrator."""

    environment: Environment
    queue: str
    url: str

    def die(self, *ids: str, rejected: bool = False) -> None:
        """Publish events that their consumer gives back until the broker has enough, or that it cannot read."""
        asyncio.run(self._die(ids, rejected))

    async def _die(self, ids: Sequence[str], rejected: bool) -> None:
        async with await aio_pika.connect(self.url) as connection, connection.channel() as channel:
            exchange, queue = await channel.get_exchange(EVENTS), await channel.get_queue(self.queue)
            for name in ids:
                message = aio_pika.Message(b"{}", message_id=name, type="order.completed", headers={"traceparent": "00-a"})
                await exchange.publish(message, routing_key=f"for.{self.queue}")
                while (got := await queue.get(fail=False)) is not None:
                    await got.reject(requeue=not rejected)
            dead = await channel.get_queue(f"{self.queue}.dead")
            async with asyncio.timeout(20):
                while (await dead.declare()).message_count is None or await self._count(channel) < len(ids):
                    await asyncio.sleep(0.05)

    async def _count(self, channel: Any) -> int:
        return int((await channel.declare_queue(f"{self.queue}.dead", passive=True)).declaration_result.message_count)

    def inside(self, queue: str) -> list[str]:
        """Ids of what is in a queue."""
        with Connection.connected(self.environment.target()) as broker, broker.queue(queue).taken() as messages:
            return [message.id for message in messages]

    @property
    def alive(self) -> list[str]:
        return self.inside(self.queue)

    @property
    def dead(self) -> list[str]:
        return self.inside(f"{self.queue}.dead")


@pytest.fixture
def events(environment: Environment, broker: Broker, rabbitmq_server: RabbitMQ) -> Events:
    queue = f"events-{uuid.uuid4().hex[:8]}"
    url = broker((), [Subscription(service="notification", queue=queue, topics=(f"for.{queue}",))])("admin")
    environment.broker(rabbitmq_server.management_url, url)
    return Events(environment, queue, url)


@pytest.fixture
def redrive(events: Events, tmp_path: Path) -> Bench:
    return Bench(DeadLetterRedrive(queue=[events.queue], patience=0), events.environment, tmp_path)
