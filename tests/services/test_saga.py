"""The whole purchase, with every process of every service as it runs in a pod: bought, declined, killed half way."""

from __future__ import annotations

import json
import os
import signal
import sys
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from components.saga_definition import OPERATOR, definition
from scripts.local import processes
from scripts.local.processes import Running, Server, eventually
from scripts.local.servers.postgres import Postgres
from services.contracts import Command
from stacks.messaging import PUBLISHERS, SUBSCRIPTIONS
from tests.services.broker import Broker
from tests.services.conftest import ROOT, _module, call

SERVICES = {
    "booking": ("api", "worker", "relay"),
    "payment": ("api", "worker", "relay"),
    "notification": ("api", "worker", "consumer"),
}
WEBHOOK_SECRET = "whsec_of_the_tests"


@dataclass
class Platform:
    """Running services, and a client for each of the people who use them."""

    env: dict[str, dict[str, str]]
    ports: dict[str, int]
    running: dict[str, Running]
    folder: Path
    issuer: str
    stripe: str
    novu: str

    def client(self, service: str, subject: str, *roles: str) -> httpx.Client:
        token = call(f"{self.issuer}/token", {"sub": subject, "roles": list(roles)})
        assert isinstance(token, dict)
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.ports[f'{service}-api']}",
            headers={"Authorization": f"Bearer {token['access_token']}"},
            timeout=10,
        )

    def start(self, service: str, process: str) -> None:
        name = f"{service}-{process}"
        server = Server(
            name=name,
            command=[sys.executable, "-m", f"services.{service}.entrypoints.{process}"],
            log=self.folder / f"{name}.log",
            env={**self.env[service], "HTTP_PORT": str(self.ports[name])},
            cwd=ROOT,
            grace=10,
        )
        self.running[name] = processes.start(server, with_parent=True)

    def await_ready(self, service: str, process: str) -> None:
        name = f"{service}-{process}"
        url = f"http://127.0.0.1:{self.ports[name]}/readyz"
        processes.await_ready(self.running[name], lambda: _ok(url), timeout=60)

    def kill(self, service: str, process: str) -> None:
        os.kill(self.running[f"{service}-{process}"].pid, signal.SIGKILL)

    def stop(self) -> None:
        """Every process at once: each drains on its own."""
        with ThreadPoolExecutor(len(self.running)) as pool:
            list(pool.map(processes.stop, self.running.values()))

    def on_sale(self, capacity: int = 10, price: int = 2_500) -> str:
        with self.client("booking", "organiser-1", "organiser") as organiser:
            starts = (datetime.now(UTC) + timedelta(days=30)).isoformat()
            event = _post(organiser, "/events", {"name": "Concert", "startsAt": starts}, 201)["id"]
            terms = {"name": "Standing", "price": price, "currency": "eur", "capacity": capacity}
            ticket_type: str = _post(organiser, f"/events/{event}/ticket-types", terms, 201)["id"]
            return ticket_type

    def buy(self, buyer: httpx.Client, ticket_type: str, *, quantity: int = 1, card: str = "pm_card_visa") -> str:
        """Hold and check out; returns the order's id."""
        hold = _post(buyer, "/holds", {"ticketTypeId": ticket_type, "quantity": quantity}, 201)["id"]
        order: str = _post(buyer, "/checkout", {"holdId": hold, "paymentMethod": card}, 202)["orderId"]
        return order

    def ended(self, buyer: httpx.Client, order: str, *, within: float = 60) -> dict[str, Any]:
        """The order once it is in a final state."""
        seen: dict[str, Any] = {}

        def done() -> bool:
            seen.update(buyer.get(f"/orders/{order}").json())
            return seen["status"] in ("completed", "cancelled", "needs_operator")

        assert eventually(done, timeout=within), self.trail(buyer, order)
        return seen

    def trail(self, buyer: httpx.Client, order: str) -> dict[str, Any]:
        found: dict[str, Any] = buyer.get(f"/orders/{order}/saga").json()
        return found

    def intents(self, order: str) -> list[dict[str, Any]]:
        answer = httpx.get(
            f"{self.stripe}/v1/payment_intents?limit=100", headers={"Authorization": "Bearer sk_test_local"}
        )
        return [intent for intent in answer.json()["data"] if intent["metadata"]["order_id"] == order]

    def delivered(self, order: str) -> list[str]:
        answer = httpx.get(f"{self.novu}/_local/delivered").json()["delivered"]
        return [entry["transactionId"] for entry in answer if entry["payload"].get("orderId") == order]


def _ok(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.HTTPError:
        return False


def _post(client: httpx.Client, path: str, body: object, status: int) -> dict[str, Any]:
    answer = client.post(path, json=body, headers={"Idempotency-Key": f"key-{uuid.uuid4()}"})
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture(scope="module")
def platform(folder: Path, postgres_server: Postgres, broker: Broker, aws_server: str) -> Iterator[Platform]:
    broker_url = broker(PUBLISHERS, SUBSCRIPTIONS)
    sqs = boto3.client("sqs", region_name="eu-west-3")
    queues = {
        name: sqs.create_queue(QueueName=f"saga-{name}-{uuid.uuid4().hex[:6]}")["QueueUrl"]
        for name in (*SERVICES, OPERATOR)
    }
    machine = boto3.client("stepfunctions", region_name="eu-west-3").create_state_machine(
        name=f"order-saga-{uuid.uuid4().hex[:6]}",
        definition=json.dumps(definition(queues)),
        roleArn="arn:aws:iam::123456789012:role/saga",
    )["stateMachineArn"]
    key = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with ExitStack() as stack:
        issuer, stripe, novu = (
            stack.enter_context(_module(f"scripts.local.{name}", folder / "saga"))
            for name in ("issuer", "stripe", "novu")
        )
        env: dict[str, dict[str, str]] = {}
        for service in SERVICES:
            name = f"e2e_{service}"
            owner = postgres_server.create(name, f"{name}_owner", "owner-password")
            env[service] = {
                "POD_IP": "127.0.0.1",
                "DATABASE_URL": postgres_server.url(f"{name}_service", name, "service-password"),
                "DATABASE_POOL_SIZE": "5",
                "AMQP_URL": broker_url(service),
                "SAGA_QUEUE_URL": queues[service],
                "OIDC_ISSUER": issuer,
                "SAGA_WAIT_SECONDS": "1",
                # A killed worker's lease is taken over soon, for the tests.
                "SAGA_LEASE_SECONDS": "4",
                "SAGA_HEARTBEAT_SECONDS": "1",
                "SAGA_STATE_MACHINE_ARN": machine,
                "TICKET_SIGNING_KEY": key,
                "STRIPE_API_KEY": "sk_test_local",
                "STRIPE_API_BASE": stripe,
                "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
                "NOVU_API_KEY": "novu-local",
                "NOVU_API_BASE": novu,
            }
            migration = Server(
                name=f"{service}-migrate",
                command=[sys.executable, "-m", f"services.{service}.entrypoints.migrate"],
                log=folder / "saga" / f"{service}-migrate.log",
                env={**env[service], "MIGRATION_DATABASE_URL": owner},
                cwd=ROOT,
            )
            job = processes.start(migration, with_parent=True)
            assert eventually(lambda job=job: job.process() is None, timeout=60)  # type: ignore[misc]
        names = [(service, process) for service, of_service in SERVICES.items() for process in of_service]
        ports = {f"{service}-{process}": processes.free_port() for service, process in names}
        made = Platform(env, ports, {}, folder / "saga", issuer, stripe, novu)
        stack.callback(made.stop)
        for service, process in names:
            made.start(service, process)
        for service, process in names:
            made.await_ready(service, process)
        httpx.post(
            f"{stripe}/v1/webhook_endpoints",
            data={"url": f"http://127.0.0.1:{ports['payment-api']}/webhooks/stripe", "secret": WEBHOOK_SECRET},
        ).raise_for_status()
        yield made


@pytest.fixture
def buyer(platform: Platform) -> Iterator[httpx.Client]:
    with platform.client("booking", f"buyer-{uuid.uuid4()}", "attendee") as client:
        yield client


@pytest.fixture
def faults(platform: Platform) -> Iterator[Callable[..., object]]:
    yield lambda **wanted: call(f"{platform.stripe}/_local/faults", wanted)
    call(
        f"{platform.stripe}/_local/faults", {"mode": "", "count": 0, "duplicate_webhooks": 1, "reorder_webhooks": False}
    )


def test_a_ticket_is_booked_from_hold_to_notification(platform: Platform, buyer: httpx.Client) -> None:
    ticket_type = platform.on_sale()
    order = platform.buy(buyer, ticket_type, quantity=2)
    found = platform.ended(buyer, order)
    assert found["status"] == "completed"
    assert (len(found["tickets"]), found["amount"]) == (2, 5_000)
    assert eventually(lambda: platform.delivered(order) == [f"order-completed:{order}"], timeout=10)

    with platform.client("booking", "organiser-1", "organiser") as organiser:
        door = _post(organiser, "/tickets/verify", {"code": found["tickets"][0]["code"]}, 200)
    assert (door["valid"], door["ticketId"]) == (True, found["tickets"][0]["id"])
    [intent] = platform.intents(order)
    assert (intent["status"], intent["amount_received"]) == ("succeeded", 5_000)

    assert eventually(lambda: platform.trail(buyer, order)["status"] == "SUCCEEDED", timeout=10)
    trail = platform.trail(buyer, order)
    assert [(step["step"], step["attempt"], step["outcome"]) for step in trail["steps"]] == [
        (state, 1, "succeeded")
        for state in ("AuthorisePayment", "ConfirmSeats", "CapturePayment", "IssueTickets", "SendNotification")
    ]
    assert [step["command"] for step in trail["booking"]] == [Command.CONFIRM_SEATS, Command.ISSUE_TICKETS]


def test_the_feed_tells_each_event_once(platform: Platform) -> None:
    subject = f"buyer-{uuid.uuid4()}"
    with platform.client("booking", subject) as buyer, platform.client("notification", subject) as reader:
        order = platform.buy(buyer, platform.on_sale())
        platform.ended(buyer, order)

        def complete() -> bool:
            return sorted(entry["type"] for entry in reader.get("/notifications").json()) == [
                "order.completed",
                "order.placed",
                "ticket.issued",
            ]

        assert eventually(complete, timeout=10), reader.get("/notifications").json()


def test_a_declined_card_gives_the_seats_back_and_takes_nothing(platform: Platform, buyer: httpx.Client) -> None:
    ticket_type = platform.on_sale(capacity=1)
    order = platform.buy(buyer, ticket_type, card="pm_card_chargeDeclinedInsufficientFunds")
    assert platform.ended(buyer, order)["status"] == "cancelled"
    assert [intent["amount_received"] for intent in platform.intents(order)] == [0]
    again = platform.buy(buyer, ticket_type)
    assert platform.ended(buyer, again)["status"] == "completed"
    assert eventually(lambda: platform.delivered(order) == [f"order-cancelled:{order}"], timeout=10)


def test_a_capture_whose_answer_is_lost_charges_once(
    platform: Platform, buyer: httpx.Client, faults: Callable[..., object]
) -> None:
    faults(mode="drop-after", operation="capture", count=2, duplicate_webhooks=3, reorder_webhooks=True)
    order = platform.buy(buyer, platform.on_sale())
    assert platform.ended(buyer, order)["status"] == "completed"
    left = call(f"{platform.stripe}/_local/faults")
    assert isinstance(left, dict)
    assert left["count"] == 0, "both answers were lost"
    assert [(i["status"], i["amount_received"]) for i in platform.intents(order)] == [("succeeded", 2_500)]


@pytest.mark.parametrize("service", ["payment", "booking"])
def test_a_worker_killed_under_load_loses_no_order_and_charges_none_twice(
    platform: Platform, buyer: httpx.Client, service: str
) -> None:
    ticket_type = platform.on_sale(capacity=20)
    orders = [platform.buy(buyer, ticket_type) for _ in range(6)]
    platform.kill(service, "worker")
    platform.start(service, "worker")
    platform.await_ready(service, "worker")
    assert {platform.ended(buyer, order, within=90)["status"] for order in orders} == {"completed"}
    for order in orders:
        assert [intent["amount_received"] for intent in platform.intents(order)] == [2_500]


def test_a_relay_killed_with_messages_in_hand_starts_each_saga_once(platform: Platform, buyer: httpx.Client) -> None:
    ticket_type = platform.on_sale(capacity=20)
    platform.kill("booking", "relay")
    orders = [platform.buy(buyer, ticket_type) for _ in range(5)]
    assert {platform.trail(buyer, order)["status"] for order in orders} == {"NOT_STARTED"}
    platform.start("booking", "relay")
    platform.await_ready("booking", "relay")
    assert {platform.ended(buyer, order)["status"] for order in orders} == {"completed"}
    assert all(len(platform.intents(order)) == 1 for order in orders)
