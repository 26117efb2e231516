"""A webhook is only a trigger: signed, recorded once, and the object is fetched again."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence

import asyncpg
import httpx
import pytest
import stripe
from pydantic import SecretStr

from scripts.local.processes import free_port
from scripts.local.stripe.webhooks import signature
from services.common.webhooks import LARGEST_BYTES
from services.payment.adapters import webhooks
from services.payment.adapters.stripe import StripeProcessor
from services.payment.entrypoints.api import create_app
from services.payment.settings import ApiSettings
from tests.support.databases import Databases

SECRET = "whsec_test_secret"
EVENT = {
    "id": "evt_1",
    "object": "event",
    "type": "payment_intent.succeeded",
    "data": {"object": {"id": "pi_1", "object": "payment_intent"}},
}


@pytest.fixture
async def client(payment: asyncpg.Pool, databases: Databases) -> AsyncIterator[httpx.AsyncClient]:
    settings = ApiSettings(
        database_url=SecretStr(databases.service("payment")),
        stripe_webhook_secret=SecretStr(SECRET),
        oidc_issuer="http://127.0.0.1:1",
    )
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://payment") as made,
    ):
        yield made


async def deliver(client: httpx.AsyncClient, payload: bytes, *, secret: str = SECRET, age: int = 0) -> httpx.Response:
    header = signature(payload, secret, int(time.time()) - age)
    return await client.post("/webhooks/stripe", content=payload, headers={"Stripe-Signature": header})


async def test_a_signed_event_is_recorded_once_however_often_it_comes(
    client: httpx.AsyncClient, payment: asyncpg.Pool
) -> None:
    answers = await asyncio.gather(*(deliver(client, json.dumps(EVENT).encode()) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert await payment.fetchval("SELECT count(*) FROM webhook_events") == 1


@pytest.mark.parametrize(
    ("payload", "secret", "age"),
    [
        (json.dumps(EVENT).encode(), "whsec_of_somebody_else", 0),
        (json.dumps(EVENT).encode(), SECRET, 3_600),
        (b"\xff", SECRET, 0),
    ],
)
async def test_what_stripe_did_not_sign_now_is_refused(
    client: httpx.AsyncClient, payment: asyncpg.Pool, payload: bytes, secret: str, age: int
) -> None:
    answer = await deliver(client, payload, secret=secret, age=age)
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:problem:invalid-signature")
    assert await payment.fetchval("SELECT count(*) FROM webhook_events") == 0


@pytest.mark.parametrize(
    "payload",
    [
        b"not json",
        b"[]",
        b"{}",
        json.dumps({**EVENT, "id": 1}).encode(),
        json.dumps({**EVENT, "id": "evt\x00"}).encode(),
        json.dumps({**EVENT, "type": "\ud800"}).encode(),
        json.dumps({**EVENT, "data": {"object": {"object": "charge", "payment_intent": {"id": "pi_1"}}}}).encode(),
        json.dumps({**EVENT, "data": {}}).encode(),
    ],
)
async def test_what_stripe_signed_and_is_no_event_is_refused(
    client: httpx.AsyncClient, payment: asyncpg.Pool, payload: bytes
) -> None:
    answer = await deliver(client, payload)
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:problem:invalid-event")
    assert await payment.fetchval("SELECT count(*) FROM webhook_events") == 0


@pytest.mark.parametrize("header", ["", "t=1", "v1=a", "t=x,v1=a", "t=1,v1=é", "t=" + "9" * 5_000 + ",v1=a"])
async def test_a_signature_that_cannot_be_read_is_refused(client: httpx.AsyncClient, header: str) -> None:
    headers = {b"Stripe-Signature": header.encode("latin-1")}
    answer = await client.post("/webhooks/stripe", content=json.dumps(EVENT).encode(), headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:problem:invalid-signature")


async def test_a_changed_body_is_refused(client: httpx.AsyncClient) -> None:
    header = signature(json.dumps(EVENT).encode(), SECRET, int(time.time()))
    changed = json.dumps({**EVENT, "id": "evt_2"}).encode()
    answer = await client.post("/webhooks/stripe", content=changed, headers={"Stripe-Signature": header})
    assert answer.status_code == 400


async def test_a_body_that_is_too_large_is_refused_before_it_is_read(client: httpx.AsyncClient) -> None:
    assert (await deliver(client, b" " * (LARGEST_BYTES + 1))).status_code == 413


async def test_an_event_waits_until_it_could_be_followed_up(payment: asyncpg.Pool) -> None:
    await webhooks.record(payment, "evt_1", "payment_intent.succeeded", "pi_1")
    await webhooks.record(payment, "evt_2", "payment_intent.succeeded", "pi_1")
    seen: list[str] = []

    async def away(_: str, __: Sequence[str]) -> None:
        raise OSError("Stripe is away")

    async def note(intent_id: str, _: Sequence[str]) -> None:
        seen.append(intent_id)

    with pytest.raises(OSError, match="away"):
        await webhooks.follow_up(payment, away)
    assert await webhooks.follow_up(payment, note) == 2
    assert await webhooks.follow_up(payment, note) == 0
    assert seen == ["pi_1"], "one look-up settles both"


async def test_what_stripe_could_not_deliver_is_counted_until_it_is_replayed(
    payment: asyncpg.Pool, processor: StripeProcessor, account: stripe.StripeClient
) -> None:
    account.v1.webhook_endpoints.create(
        {"url": f"http://127.0.0.1:{free_port()}/webhooks/stripe", "enabled_events": ["*"]}
    )
    intent = account.v1.payment_intents.create(
        {"amount": 500, "currency": "eur", "payment_method": "pm_card_visa", "confirm": True}
    )
    failed = account.v1.events.list({"delivery_success": False, "limit": 100}).data
    assert failed, "an endpoint that nobody serves takes nothing"
    await webhooks.count_undelivered(payment, processor)
    assert webhooks.UNDELIVERED._value.get() == len(failed)
    for event in failed:
        await webhooks.record(payment, event.id, event.type, intent.id)
    await webhooks.count_undelivered(payment, processor)
    assert webhooks.UNDELIVERED._value.get() == 0
