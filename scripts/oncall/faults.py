"""Faults for game days, made on the platform of this machine. Each is a context: leaving it takes away what is left.

One that does not come about raises NotMade.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pg8000.native
import psutil

from components.canary_spec import CANARY
from runbooks._kit import postgresql, rds
from runbooks._kit.cloudwatch import points
from runbooks._kit.kubernetes import connected
from runbooks._kit.messages import Message
from runbooks._kit.postgresql import Database
from runbooks._kit.rabbitmq import Broker
from runbooks._kit.target import Target
from scripts.canary.pods import Pods
from scripts.canary.route import Route
from scripts.local.demo import buy, place
from scripts.local.platform.layout import Layout, Record
from scripts.local.processes import eventually
from scripts.purchase import local_token
from stacks.objectives import canary_spec

# Seconds: a step gives up after five tries, each later than the one before (components/saga_definition.py).
_PARKS = 180
# Seconds: an order whose buyer is told of it later.
_SELLS = 60
# Seconds: a pod of a canary starts, and the balancer finds it healthy.
_STARTS = 60
# Seconds: each step of a rotation is a process.
_ROTATES = 60
# Enough requests for the alarm on a canary's errors to judge by, in each of its periods.
_VISITORS, _PAUSE = 8, 0.1
_SAY_SOLD = """
  UPDATE pools SET sold = :number
  WHERE id = (SELECT t.pool_id FROM orders o JOIN holds h ON h.id = o.hold_id
              JOIN ticket_types t ON t.id = h.ticket_type_id WHERE o.id = CAST(:order AS uuid))"""


class NotMade(RuntimeError):
    """The fault did not come about; the message says how far it went."""


@dataclass(frozen=True, slots=True)
class World:
    """The platform that a fault is made on."""

    target: Target
    layout: Layout

    @property
    def record(self) -> Record:
        """What `up` wrote down."""
        found = self.layout.record()
        if found is None:
            raise NotMade("there is no platform: run `make up`")
        return found


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
def broker_down(world: World) -> Iterator[None]:
    """The broker's machine hangs until AWS puts another in its place: tickets are sold, and nobody is told of them."""
    broker = world.layout.running()["rabbitmq"].process()
    if broker is None:
        raise NotMade("RabbitMQ does not run: see `eventctl local status`")
    family = [broker, *broker.children(recursive=True)]
    try:
        for process in family:
            process.suspend()
        placed = place(world.record, lambda _: None)
        if not eventually(lambda: placed.order()["status"] == "completed", timeout=_SELLS, every=1):
            raise NotMade(f"order {placed.id} is {placed.order()['status']} after {_SELLS} s without the broker")
        yield
    finally:
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.resume()


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
            _parked(world)
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


def _parked(world: World) -> None:
    """Buy a ticket, and wait until its order waits for a person."""
    placed = place(world.record, lambda _: None)
    if not eventually(lambda: placed.order()["status"] == "needs_operator", timeout=_PARKS, every=1):
        raise NotMade(f"order {placed.id} is {placed.order()['status']} after {_PARKS} s, not parked")


@contextmanager
def answers_lost(world: World) -> Iterator[None]:
    """Stripe takes the money, and no answer of it arrives, nor to who asks again: a paid order waits for a person."""
    faults = f"{world.record.urls['stripe']}/_local/faults"
    lost = {"mode": "drop-after", "operation": "capture,retrieve", "count": 1000}
    httpx.post(faults, json=lost).raise_for_status()
    try:
        _parked(world)
    finally:
        httpx.post(faults, json={**lost, "count": 0}).raise_for_status()
    yield


@contextmanager
def secret_not_rotated(world: World) -> Iterator[None]:
    """A login's next password is due while whoever owns its database may not log in: its rotation stays half done."""
    secrets, began = world.target.client("secretsmanager"), datetime.now(UTC)
    arn = world.target.operations.database_secret_arns["booking"]
    function = secrets.describe_secret(SecretId=arn)["RotationLambdaARN"].rpartition(":function:")[2]

    def failed() -> bool:
        found = points(
            world.target, "AWS/Lambda", "Errors", {"FunctionName": function}, during=datetime.now(UTC) - began
        )
        return any(value for _, value in found)

    with _as_owner(world, "booking") as booking:
        booking.rows("ALTER ROLE CURRENT_USER NOLOGIN")
        try:
            secrets.rotate_secret(SecretId=arn)
            if not eventually(failed, timeout=_ROTATES, every=0.5):
                raise NotMade(f"{function} has not failed after {_ROTATES} s")
        finally:
            booking.rows("ALTER ROLE CURRENT_USER LOGIN")
    yield


@contextmanager
def bad_canary(world: World) -> Iterator[None]:
    """A release that refuses whoever signed in, given to half of the visitors, while nothing takes canaries back."""
    events = world.target.client("events")
    operations = world.target.operations
    route = Route(world.target.client("elbv2"), operations.canaries["booking"], canary_spec("booking"))
    pods = Pods(connected(world.target), operations.namespace, "booking")
    guards = [rule["Name"] for rule in events.list_rules()["Rules"] if "canary-guard" in rule["Name"]]
    for guard in guards:
        events.disable_rule(Name=guard)
    try:
        pods.create(pods.image(), OIDC_ISSUER="https://nobody.invalid")
        pods.scale(1)
        route.share(0)
        if not eventually(lambda: route.healthy(CANARY) == (1, 1), timeout=_STARTS, every=1):
            raise NotMade(f"the canary of booking has no healthy pod after {_STARTS} s")
        route.share(500)
        with _visited(world):
            yield
    finally:
        route.stable_alone()
        pods.delete()
        for guard in guards:
            events.enable_rule(Name=guard)


@contextmanager
def _visited(world: World) -> Iterator[None]:
    """People who signed in come through the balancer, for the length of a block."""
    over = threading.Event()
    address = f"{world.record.urls['balancer']}/api/booking/tickets"
    token = local_token(world.record.urls["issuer"], "game-day", "attendee")

    def visit() -> None:
        with httpx.Client(headers={"Authorization": f"Bearer {token}"}, verify=world.target.trust) as visitor:
            while not over.wait(_PAUSE):
                visitor.cookies.clear()
                visitor.get(address)

    with ThreadPoolExecutor(_VISITORS) as pool:
        visits = [pool.submit(visit) for _ in range(_VISITORS)]
        try:
            yield
        finally:
            over.set()
            for each in visits:
                each.result()


def _as_owner(world: World, service: str) -> AbstractContextManager[Database]:
    """The database of ``service`` as whoever migrates it."""
    secret = rds.instance(world.target, service).facts["MasterUserSecret"]["SecretArn"]
    return postgresql.as_master(world.target, service, secret)


FAULTS: Mapping[str, Fault] = {
    "connections-exhausted": connections_exhausted,
    "broker-down": broker_down,
    "poison-message": poison_message,
    "command-nobody-reads": command_nobody_reads,
    "tickets-refused": tickets_refused,
    "counters-lost": counters_lost,
    "answers-lost": answers_lost,
    "bad-canary": bad_canary,
    "secret-not-rotated": secret_not_rotated,
}
