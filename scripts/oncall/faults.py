"""Faults for game days, made on the platform of this machine. Each is a context: leaving it takes away what is left."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import aio_pika
import pg8000.native

from runbooks._kit.rabbitmq import Broker
from runbooks._kit.target import Target
from scripts.local.demo import buy
from scripts.local.platform.layout import Record


@dataclass(frozen=True, slots=True)
class World:
    """The platform that a fault is made on."""

    target: Target
    record: Record


Fault = Callable[[World], AbstractContextManager[None]]


@contextmanager
def connections_exhausted(world: World) -> Iterator[None]:
    """A release that begins transactions and forgets them: more sessions than the alarm allows."""
    login = world.target.secret(world.target.operations.database_secret_arns["booking"])
    with ExitStack() as sessions:
        for _ in range(100):
            session = pg8000.native.Connection(
                login["username"],
                host=login["host"],
                port=int(login["port"]),
                database=login["database"],
                password=login["password"],
                ssl_context=world.target.trust,
                application_name="game-day",
            )
            sessions.callback(_closed, session)
            session.run("START TRANSACTION")
        yield


def _closed(session: Any) -> None:
    with suppress(pg8000.exceptions.InterfaceError, OSError):
        session.close()


@contextmanager
def poison_message(world: World) -> Iterator[None]:
    """A message that no consumer can read, on the way from booking to payment."""
    asyncio.run(_published(world, "payment.orders", b"this is no event"))
    yield
    with Broker.connected(world.target) as broker, broker.queue("payment.orders.dead").taken() as left:
        for message in left:
            broker.queue("payment.orders.dead").remove(message)


async def _published(world: World, queue: str, body: bytes) -> None:
    secrets = world.target.operations.broker_secret_arns
    login, address = world.target.secret(secrets["administrator"]), world.target.secret(secrets["payment"])["address"]
    host, _, port = address.partition(":")
    connection = await aio_pika.connect(
        host=host,
        port=int(port),
        login=login["username"],
        password=login["password"],
        virtualhost="platform",
        ssl=True,
        ssl_context=world.target.trust,
    )
    async with connection, connection.channel() as channel:
        await channel.default_exchange.publish(aio_pika.Message(body), routing_key=queue)


@contextmanager
def command_nobody_reads(world: World) -> Iterator[None]:
    """A saga command that its worker could not read, after as many deliveries as its queue allows."""
    sqs, url = world.target.client("sqs"), world.target.operations.dead_letter_urls["booking"]
    bought = buy(world.record, lambda _: None)
    machine = world.target.operations.state_machine_arn
    execution = f"{machine.replace(':stateMachine:', ':execution:')}:{bought.order['id']}"
    body = {"command": "booking.issue_tickets", "taskToken": "game-day", "executionArn": execution}
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps(body))
    yield
    sqs.purge_queue(QueueUrl=url)


FAULTS: Mapping[str, Fault] = {
    "connections-exhausted": connections_exhausted,
    "poison-message": poison_message,
    "command-nobody-reads": command_nobody_reads,
}
