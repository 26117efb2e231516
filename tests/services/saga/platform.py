"""The whole platform of services as it runs in pods, every process its own; and the people who use it."""

from __future__ import annotations

import json
import os
import signal
import sys
import uuid
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import boto3
import httpx
import psutil
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from components.saga_definition import OPERATOR, definition
from scripts.local import processes
from scripts.local.processes import Running, Server, eventually
from scripts.local.servers.postgres import Postgres
from stacks.messaging import PUBLISHERS, SUBSCRIPTIONS
from tests.services.broker import Broker
from tests.services.conftest import ROOT, _module, call

SERVICES = {
    "booking": ("api", "worker", "relay"),
    "payment": ("api", "worker", "relay"),
    "notification": ("api", "worker", "consumer"),
}
# In the form of Standard Webhooks, which Novu asks for.
WEBHOOK_SECRET = f"whsec_{b64encode(b'of the tests, 24 bytes..').decode()}"


@dataclass
class Platform:
    """Running services, and a client for each of the people who use them."""

    env: dict[str, dict[str, str]]
    # URLs of the databases as their owners reach them, by service.
    owners: dict[str, str]
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

    def on_sale(self, capacity: int = 10, price: int = 2_500, **event: Any) -> str:
        with self.client("booking", "organiser-1", "organiser") as organiser:
            starts = (datetime.now(UTC) + timedelta(days=30)).isoformat()
            event = _post(organiser, "/events", {"name": "Concert", "startsAt": starts, **event}, 201)["id"]
            terms = {"name": "Standing", "price": price, "currency": "eur", "capacity": capacity}
            ticket_type: str = _post(organiser, f"/events/{event}/ticket-types", terms, 201)["id"]
            return ticket_type

    def buy(self, buyer: httpx.Client, ticket_type: str, *, quantity: int = 1, card: str = "pm_card_visa") -> str:
        """Hold and check out; returns the order's id."""
        hold = _post(buyer, "/holds", {"ticketTypeId": ticket_type, "quantity": quantity}, 201)["id"]
        order: str = _post(buyer, "/checkout", {"holdId": hold, "paymentMethod": card}, 202)["orderId"]
        return order

    def buy_whatever_happens(self, subject: str, ticket_type: str) -> str:
        """As a patient client: the same keys again until there is an answer; returns the order's id."""
        keys = {path: f"key-{uuid.uuid4()}" for path in ("/holds", "/checkout")}
        answers: dict[str, dict[str, Any]] = {}

        def asked(path: str, body: dict[str, Any]) -> bool:
            try:
                with self.client("booking", subject) as buyer:
                    answer = buyer.post(path, json=body, headers={"Idempotency-Key": keys[path]})
            except httpx.HTTPError:
                return False
            # In flight, or a server is away: the same request again.
            if (answer.status_code == 409 and "in-flight" in answer.text) or answer.status_code >= 500:
                return False
            assert answer.is_success, answer.text
            answers[path] = answer.json()
            return True

        assert eventually(lambda: asked("/holds", {"ticketTypeId": ticket_type, "quantity": 1}), timeout=90, every=0.2)
        payment = {"holdId": answers["/holds"]["id"], "paymentMethod": "pm_card_visa"}
        assert eventually(lambda: asked("/checkout", payment), timeout=90, every=0.2)
        order: str = answers["/checkout"]["orderId"]
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

    def of_order(self, order: str) -> dict[str, Any]:
        """What Stripe has of an order: intents, refunds, disputes."""
        found: dict[str, Any] = httpx.get(f"{self.stripe}/_local/order/{order}").json()
        return found

    def delivered(self, order: str) -> list[str]:
        answer = httpx.get(f"{self.novu}/_local/delivered").json()["delivered"]
        return [entry["transactionId"] for entry in answer if entry["payload"].get("orderId") == order]


@dataclass
class Restartable:
    """A server that crashes and comes back where it was."""

    server: Server
    ready: Callable[[], bool]
    running: Running

    @classmethod
    def started(cls, server: Server, ready: Callable[[], bool]) -> Restartable:
        made = cls(server, ready, processes.start(server, with_parent=True))
        processes.await_ready(made.running, ready, timeout=60)
        return made

    def crash(self) -> None:
        """Kill it and everything it started, at once."""
        process = self.running.process()
        assert process is not None
        family = [process, *process.children(recursive=True)]
        for each in family:
            with suppress(psutil.NoSuchProcess):  # what it started ends by itself, too
                each.kill()
        psutil.wait_procs(family, timeout=10)

    def restart(self) -> None:
        self.running = processes.start(self.server, with_parent=True)
        processes.await_ready(self.running, self.ready, timeout=60)

    def stop(self) -> None:
        processes.stop(self.running)


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


@contextmanager
def launched(
    folder: Path,
    postgres_server: Postgres,
    broker: Broker,
    redis_url: str,
    *,
    more: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Platform]:
    """All processes of all services, on these servers and on the AWS of the environment; ended with the block.

    ``more`` is added to the environment of each.
    """
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
            stack.enter_context(_module(f"scripts.local.{name}", folder)) for name in ("issuer", "stripe", "novu")
        )
        env: dict[str, dict[str, str]] = {}
        owners: dict[str, str] = {}
        # The server may serve other tests' platforms too.
        here = uuid.uuid4().hex[:6]
        for service in SERVICES:
            name = f"e2e_{here}_{service}"
            owners[service] = postgres_server.create(name, f"{name}_owner", "owner-password")
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
                "NOVU_WEBHOOK_SECRET": WEBHOOK_SECRET,
                "REDIS_URL": redis_url,
                **more,
            }
            migration = Server(
                name=f"{service}-migrate",
                command=[sys.executable, "-m", f"services.{service}.entrypoints.migrate"],
                log=folder / f"{service}-migrate.log",
                env={**env[service], "MIGRATION_DATABASE_URL": owners[service]},
                cwd=ROOT,
            )
            job = processes.start(migration, with_parent=True)
            assert eventually(lambda job=job: job.process() is None, timeout=60)  # type: ignore[misc]
        names = [(service, process) for service, of_service in SERVICES.items() for process in of_service]
        ports = {f"{service}-{process}": processes.free_port() for service, process in names}
        made = Platform(env, owners, ports, {}, folder, issuer, stripe, novu)
        stack.callback(made.stop)
        for service, process in names:
            made.start(service, process)
        for service, process in names:
            made.await_ready(service, process)
        to_payment = f"http://127.0.0.1:{ports['payment-api']}/webhooks/stripe"
        to_notification = f"http://127.0.0.1:{ports['notification-api']}/webhooks/novu"
        httpx.post(
            f"{stripe}/v1/webhook_endpoints", data={"url": to_payment, "secret": WEBHOOK_SECRET}
        ).raise_for_status()
        call(f"{novu}/_local/webhook", {"url": to_notification, "secret": WEBHOOK_SECRET})
        yield made
