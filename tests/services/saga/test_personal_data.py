"""One person's life with the platform, with everything going wrong: no log and no trace names the person, and after the
erasure nothing does.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
import uuid
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import aio_pika
import asyncpg
import boto3
import httpx
import pytest

from scripts.local.processes import eventually
from scripts.local.servers.postgres import Postgres
from scripts.local.servers.redis import Redis
from services.common import database
from services.contracts import EVENTS_EXCHANGE
from stacks.messaging import PUBLISHERS, SUBSCRIPTIONS
from tests.services.broker import Broker
from tests.services.saga.platform import SERVICES, WEBHOOK_SECRET, Platform, launched

SUBJECT = f"buyer-{uuid.uuid4()}"
EMAIL, PHONE, NAME, CARD = "odile.marqueur@mail.example", "+33699887766", "Odile Marqueur", "4242424242424242"
MARKS = (SUBJECT, "odile.marqueur", "33699887766", "Marqueur", CARD)
# What has to be in the logs, or the test has provoked nothing.
PROVOKED = (
    "request failed",
    "command failed",
    "event given back",
    "not an event: to the dead letters",
    "not a command",
    "CheckViolationError(23514",
    "ValueError()",
)


@dataclass
class Life:
    """What is left of it: the lines of all logs, what was traced, and who still names the person."""

    logs: dict[str, str]
    traced: bytes
    tokens: list[str]
    naming: dict[str, set[str]]
    at_novu: int


class Database:
    """One of the platform's, seen by its owner."""

    def __init__(self, url: str) -> None:
        self._url = url

    def run(self, *statements: str) -> list[Any]:
        """Run them; returns the rows of the last one."""

        async def run() -> list[Any]:
            connection = await asyncpg.connect(**database.arguments(self._url))
            try:
                found: list[Any] = [await connection.fetch(statement) for statement in statements][-1]
                return found
            finally:
                await connection.close()

        return asyncio.run(run())

    @contextmanager
    def refusing(self, table: str, column: str) -> Iterator[None]:
        """Within the block PostgreSQL refuses rows of the person, and quotes them in its answer."""
        self.run(f"ALTER TABLE {table} ADD CONSTRAINT refused CHECK ({column} <> '{SUBJECT}') NOT VALID")
        yield
        self.run(f"ALTER TABLE {table} DROP CONSTRAINT refused")

    def naming(self) -> set[str]:
        """The tables that name the person."""
        tables = [row[0] for row in self.run("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        return {table for table in tables if self.run(f"SELECT FROM {table} t WHERE strpos(t::text, '{SUBJECT}') > 0")}


@contextmanager
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """An OTLP collector that keeps what it is sent: protobuf has its texts as they are."""
    taken: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", taken
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def stripe_signed(body: str) -> dict[str, str]:
    at = int(time.time())
    signature = hmac.new(WEBHOOK_SECRET.encode(), f"{at}.{body}".encode(), hashlib.sha256).hexdigest()
    return {"Stripe-Signature": f"t={at},v1={signature}"}


def novu_signed(body: str) -> dict[str, str]:
    at, id = str(int(time.time())), f"msg_{uuid.uuid4()}"
    secret = b64decode(WEBHOOK_SECRET.removeprefix("whsec_"))
    signature = b64encode(hmac.new(secret, f"{id}.{at}.{body}".encode(), hashlib.sha256).digest()).decode()
    return {"svix-id": id, "svix-timestamp": at, "svix-signature": f"v1,{signature}"}


def ask_wrongly(platform: Platform) -> None:
    """What people type into the wrong places, and what providers send along."""
    typed = {"ticketTypeId": EMAIL, "name": NAME, "phone": PHONE, "card": CARD}
    with platform.client("booking", SUBJECT) as booking:
        for path in (
            f"/orders/{EMAIL}",
            f"/people/{EMAIL}",
            f"/events/changes?after={EMAIL}",
            f"/waiting-list/{PHONE}",
        ):
            assert booking.get(path).status_code in (404, 422), path
        assert booking.delete(f"/buyers/{EMAIL}").status_code == 404
        for path in ("/holds", "/checkout", "/transfers", "/waiting-list"):
            assert booking.post(path, json=typed, headers={"Idempotency-Key": EMAIL}).status_code == 422
        forged = {"Authorization": f"Bearer {b64encode(json.dumps(typed).encode()).decode()}.{EMAIL}"}
        assert booking.get("/tickets", headers=forged).status_code == 401
    with platform.client("notification", SUBJECT, "platform") as notification:
        assert notification.put("/preferences", json={"timeZone": NAME, "phone": PHONE}).status_code == 422
        assert notification.post(f"/deliveries/{EMAIL}/requeue").status_code == 404
        said = {"type": "message.sent", "data": {"object": {"channel": "sms", "transactionId": EMAIL, "phone": PHONE}}}
        body = json.dumps(said)
        assert notification.post("/webhooks/novu", content=body, headers=novu_signed(body)).is_success
        assert notification.post("/webhooks/novu", content=body).status_code == 400
    with platform.client("payment", SUBJECT) as payment:
        assert payment.get(f"/payments/{EMAIL}").status_code == 422
        details = {"email": EMAIL, "name": NAME, "phone": PHONE}
        thing = {"id": "pi_unknown", "object": "payment_intent", "billing_details": details, "receipt_email": EMAIL}
        body = json.dumps(
            {"id": "evt_1", "object": "event", "type": "payment_intent.succeeded", "data": {"object": thing}}
        )
        assert payment.post("/webhooks/stripe", content=body, headers=stripe_signed(body)).is_success
        assert payment.post("/webhooks/stripe", content=body).status_code == 400


def send_nonsense(platform: Platform, broker_url: str) -> None:
    """Messages that cannot be worked on, over the broker and over SQS."""
    ids = {"orderId": str(uuid.uuid4()), "refundId": str(uuid.uuid4()), "buyerId": SUBJECT, "amount": EMAIL}
    wish = {"id": str(uuid.uuid4()), "type": "order.refund_requested", "occurredAt": "2030-01-01T00:00:00Z", "ids": ids}
    lost = {**wish, "id": str(uuid.uuid4()), "type": "order.completed", "ids": {"buyerId": SUBJECT}}

    async def publish() -> None:
        async with await aio_pika.connect(broker_url, ssl_options={"no_verify_ssl": True}) as connection:
            exchange = await (await connection.channel()).get_exchange(EVENTS_EXCHANGE)
            for key, body in (
                ("order.refund_requested", json.dumps(wish)),
                ("order.completed", json.dumps(lost)),
                ("order.completed", json.dumps({**lost, "name": NAME, "type": EMAIL})),
                ("order.refund_requested", f"not JSON: {EMAIL}"),
            ):
                await exchange.publish(aio_pika.Message(body.encode()), routing_key=key)

    asyncio.run(publish())
    sqs = boto3.client("sqs", region_name="eu-west-3")
    for service in SERVICES:
        body = json.dumps({"command": EMAIL, "taskToken": PHONE, "input": {"buyerId": SUBJECT, "name": NAME}})
        sqs.send_message(QueueUrl=platform.env[service]["SAGA_QUEUE_URL"], MessageBody=body)


def logged(platform: Platform, text: str) -> bool:
    return any(text in log for log in logs(platform).values())


def logs(platform: Platform) -> dict[str, str]:
    return {path.stem: path.read_text() for service in SERVICES for path in platform.folder.glob(f"{service}-*.log")}


@pytest.fixture(scope="module")
def life(
    folder: Path, postgres_server: Postgres, broker: Broker, redis_server: Redis, aws_server: str
) -> Iterator[Life]:
    with (
        collector() as (endpoint, traced),
        launched(
            folder / "personal-data",
            postgres_server,
            broker,
            redis_server.url(),
            more={"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_TRACES_SAMPLER_ARG": "1"},
        ) as platform,
    ):
        databases = {service: Database(url) for service, url in platform.owners.items()}
        ticket_type = platform.on_sale()
        send_nonsense(platform, broker(PUBLISHERS, SUBSCRIPTIONS)("admin"))
        ask_wrongly(platform)
        with platform.client("booking", SUBJECT) as buyer, platform.client("notification", SUBJECT) as reader:
            tokens = [client.headers["Authorization"].removeprefix("Bearer ") for client in (buyer, reader)]
            with databases["booking"].refusing("orders", "buyer_id"):
                hold = {"ticketTypeId": ticket_type, "quantity": 1}
                held = buyer.post("/holds", json=hold, headers={"Idempotency-Key": "key-refused"}).json()["id"]
                asked = {"holdId": held, "paymentMethod": "pm_card_visa"}
                refused = buyer.post("/checkout", json=asked, headers={"Idempotency-Key": "key-refused"})
                assert refused.status_code == 500
            with (
                databases["payment"].refusing("payments", "buyer_id"),
                databases["notification"].refusing("feed", "subscriber_id"),
            ):
                order = platform.buy(buyer, ticket_type)
                for text in ("command failed", "event given back"):
                    assert eventually(lambda text=text: logged(platform, text), timeout=30)  # type: ignore[misc]
            assert platform.ended(buyer, order)["status"] == "completed"
            assert reader.put("/preferences", json={"locale": "en"}).is_success
            assert eventually(lambda: platform.delivered(order) != [], timeout=30)
            assert buyer.delete(f"/buyers/{SUBJECT}").status_code == 409, "a ticket is live"
            buyer.delete(f"/holds/{held}").raise_for_status()
            databases["booking"].run("UPDATE events SET starts_at = now() - interval '7 days'")
            # Who must hear of it is away, and comes back.
            platform.kill("notification", "consumer")
            platform.kill("payment", "relay")
            assert buyer.delete(f"/buyers/{SUBJECT}").status_code == 204
            assert databases["payment"].naming() >= {"payments"}
            platform.start("notification", "consumer")
            platform.start("payment", "relay")
            assert buyer.delete(f"/buyers/{SUBJECT}").status_code == 204, "again is the same"
            # As if a week had gone by: what was said is removed by the workers.
            assert eventually(lambda: databases["payment"].naming() == {"outbox"}, timeout=60)
            for service in SERVICES:
                databases[service].run(
                    "UPDATE outbox SET published_at = published_at - interval '8 days' WHERE published_at IS NOT NULL"
                )
            assert eventually(lambda: bool(databases["notification"].run("SELECT FROM erasures")), timeout=60)
            databases["notification"].run("UPDATE erasures SET due_at = now()")
            eventually(lambda: not any(db.naming() for db in databases.values()), timeout=60, every=0.5)
        at_novu = httpx.get(
            f"{platform.novu}/v2/subscribers/{SUBJECT}", headers={"Authorization": "ApiKey novu-local"}
        ).status_code
        platform.stop()
        naming = {service: db.naming() for service, db in databases.items()}
        yield Life(logs(platform), b"".join(traced), tokens, naming, at_novu)


def test_no_line_of_any_log_names_the_person_whatever_went_wrong(life: Life) -> None:
    everything = "\n".join(life.logs.values())
    for text in PROVOKED:
        assert text in everything, f"nothing has provoked {text!r}"
    leaks = [
        f"{name}: {line[:2000]}"
        for name, log in life.logs.items()
        for line in log.splitlines()
        if any(mark in line for mark in (*MARKS, *life.tokens))
    ]
    assert not leaks, "\n".join(leaks)


def test_every_line_of_every_log_is_one_json_object(life: Life) -> None:
    for name, log in life.logs.items():
        for line in log.splitlines():
            assert isinstance(json.loads(line), dict), f"{name}: {line}"


def test_no_span_names_the_person(life: Life) -> None:
    for text in (b"DELETE /buyers/{buyer_id}", b"POST /checkout", b"payment.authorise", b"consume order.completed"):
        assert text in life.traced, "it was traced"
    for mark in (*MARKS, *life.tokens):
        assert mark.encode() not in life.traced, mark


def test_after_the_erasure_and_a_week_nothing_names_the_person(life: Life) -> None:
    assert life.naming == {service: set() for service in SERVICES}
    assert life.at_novu == 404
