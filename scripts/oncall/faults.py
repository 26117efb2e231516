"""Faults for game days, made on the platform of this machine. Each is a context: leaving it takes away what is left."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pg8000.native

from runbooks._kit import postgresql, rds
from runbooks._kit.messages import Message
from runbooks._kit.postgresql import Database
from runbooks._kit.rabbitmq import Broker
from runbooks._kit.target import Target
from scripts.local.demo import buy, place
from scripts.local.platform.layout import Record
from scripts.local.processes import eventually

# Seconds: a step gives up after five tries, each later than the one before (components/saga_definition.py).
_PARKS = 180
_SAY_SOLD = """
  UPDATE pools SET sold = :number
  WHERE id = (SELECT t.pool_id FROM orders o JOIN holds h ON h.id = o.hold_id
              JOIN ticket_types t ON t.id = h.ticket_type_id WHERE o.id = CAST(:order AS uuid))"""


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
    with Broker.connected(world.target) as broker:
        broker.queue("payment.orders").send(Message(id="game-day", body=b"this is no event"))
    try:
        yield
    finally:
        with Broker.connected(world.target) as broker:
            dead = broker.queue("payment.orders.dead")
            with dead.taken() as left:
                for message in left:
                    dead.remove(message)


@contextmanager
def command_nobody_reads(world: World) -> Iterator[None]:
    """A saga command that its worker could not read, after as many deliveries as its queue allows."""
    sqs, url = world.target.client("sqs"), world.target.operations.dead_letter_urls["booking"]
    bought = buy(world.record, lambda _: None)
    machine = world.target.operations.state_machine_arn
    execution = f"{machine.replace(':stateMachine:', ':execution:')}:{bought.order['id']}"
    body = {"command": "booking.issue_tickets", "taskToken": "game-day", "executionArn": execution}
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps(body))
    try:
        yield
    finally:
        sqs.purge_queue(QueueUrl=url)


@contextmanager
def tickets_refused(world: World) -> Iterator[None]:
    """A migration that refuses new tickets, undone too late: an order that was paid for waits for a person."""
    with _as_owner(world, "booking") as booking:
        booking.rows("ALTER TABLE tickets ADD CONSTRAINT game_day CHECK (false) NOT VALID")
        try:
            placed = place(world.record, lambda _: None)
            if not eventually(lambda: placed.order()["status"] == "needs_operator", timeout=_PARKS, every=1):
                raise RuntimeError(f"order {placed.id} is {placed.order()['status']} after {_PARKS} s, not parked")
        finally:
            booking.rows("ALTER TABLE tickets DROP CONSTRAINT game_day")
    yield


@contextmanager
def counters_lost(world: World) -> Iterator[None]:
    """A statement typed by hand that says of a pool on sale that nothing of it is sold."""
    order = buy(world.record, lambda _: None).order["id"]

    def say_sold(number: int) -> None:
        with _as_owner(world, "booking") as booking:
            booking.rows(_SAY_SOLD, number=number, order=order)

    say_sold(0)
    try:
        yield
    finally:
        say_sold(1)


def _as_owner(world: World, service: str) -> AbstractContextManager[Database]:
    """The database of ``service`` as whoever migrates it."""
    secret = rds.instance(world.target, service).facts["MasterUserSecret"]["SecretArn"]
    return postgresql.as_master(world.target, service, secret)


FAULTS: Mapping[str, Fault] = {
    "connections-exhausted": connections_exhausted,
    "poison-message": poison_message,
    "command-nobody-reads": command_nobody_reads,
    "tickets-refused": tickets_refused,
    "counters-lost": counters_lost,
}
