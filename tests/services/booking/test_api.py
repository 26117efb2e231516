"""Who may do what, and what wrong requests are told."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import asyncpg
import httpx
import pytest
from joserfc.jwk import ECKey
from pydantic import SecretStr

from scripts.local.issuer import Issuer
from scripts.openapi import FOLDER
from services.booking.entrypoints.api import create_app
from services.booking.settings import ApiSettings
from tests.services.booking.conftest import As
from tests.services.conftest import ISSUER
from tests.services.samples import on_sale, ordered
from tests.support.databases import Databases

EVENT = {"name": "Concert", "startsAt": "2030-05-01T20:00:00+02:00"}


async def test_the_same_key_creates_one_event_and_repeats_the_answer(api: httpx.AsyncClient, as_user: As) -> None:
    headers = as_user("organiser-1", "organiser", key="create-concert")
    first, second = [await api.post("/events", json=EVENT, headers=headers) for _ in range(2)]
    assert (first.status_code, first.json()) == (second.status_code, second.json())
    other = await api.post("/events", json={**EVENT, "name": "Ballet"}, headers=headers)
    assert (other.status_code, other.json()["type"]) == (422, "urn:problem:idempotency-key-reused")


async def test_fifty_requests_with_one_key_create_one_event(
    api: httpx.AsyncClient, as_user: As, booking: asyncpg.Pool
) -> None:
    headers = as_user("organiser-1", "organiser", key="create-concert")
    answers = await asyncio.gather(*(api.post("/events", json=EVENT, headers=headers) for _ in range(50)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert await booking.fetchval("SELECT count(*) FROM events") == 1


async def test_the_lease_of_a_crashed_request_ends(api: httpx.AsyncClient, as_user: As, booking: asyncpg.Pool) -> None:
    headers = as_user("organiser-1", "organiser", key="create-concert")
    await api.post("/events", json=EVENT, headers=headers)
    await booking.execute("UPDATE idempotency_keys SET status = NULL, lease_until = now() + interval '1 minute'")
    assert (await api.post("/events", json=EVENT, headers=headers)).status_code == 409
    await booking.execute("UPDATE idempotency_keys SET lease_until = now() - interval '1 second'")
    assert (await api.post("/events", json=EVENT, headers=headers)).status_code == 201


@pytest.mark.parametrize(("authorization", "status"), [("", 401), ("Bearer rubbish", 401), ("Basic dXNlcjpwYXNz", 401)])
async def test_nothing_is_done_without_a_token(api: httpx.AsyncClient, authorization: str, status: int) -> None:
    headers = {"Idempotency-Key": "some-key-1", **({"Authorization": authorization} if authorization else {})}
    answer = await api.post("/holds", json={"ticketTypeId": str(uuid.uuid4()), "quantity": 1}, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "claims", [{"iss": "https://somebody.example"}, {"aud": "another-platform"}, {"exp": 1}, {"sub": None}]
)
async def test_a_token_for_another_time_or_place_is_refused(
    api: httpx.AsyncClient, issuer: Issuer, claims: dict[str, Any]
) -> None:
    headers = {"Authorization": f"Bearer {issuer.token('user', **claims)}"}
    assert (await api.get(f"/orders/{uuid.uuid4()}", headers=headers)).status_code == 401


async def test_a_token_signed_by_a_stranger_is_refused(api: httpx.AsyncClient) -> None:
    stranger = Issuer(ISSUER, ECKey.generate_key("P-256", auto_kid=True))
    headers = {"Authorization": f"Bearer {stranger.token('user', 'platform')}"}
    assert (await api.get(f"/orders/{uuid.uuid4()}", headers=headers)).status_code == 401


async def test_an_attendee_cannot_create_events_nor_check_tickets(api: httpx.AsyncClient, as_user: As) -> None:
    headers = as_user("buyer-1", "attendee")
    assert (await api.post("/events", json=EVENT, headers=headers)).status_code == 403
    assert (await api.post("/tickets/verify", json={"code": "x"}, headers=headers)).status_code == 403


async def test_another_organisers_event_is_not_found(api: httpx.AsyncClient, as_user: As) -> None:
    event = (await api.post("/events", json=EVENT, headers=as_user("organiser-1", "organiser"))).json()["id"]
    terms = {"name": "Standing", "price": 100, "currency": "eur", "capacity": 5}
    answer = await api.post(f"/events/{event}/ticket-types", json=terms, headers=as_user("organiser-2", "organiser"))
    assert answer.status_code == 404


async def test_another_buyers_order_and_its_trail_are_not_found(
    api: httpx.AsyncClient, as_user: As, booking: asyncpg.Pool
) -> None:
    order = await ordered(booking)
    for path in (f"/orders/{order.id}", f"/orders/{order.id}/saga"):
        assert (await api.get(path, headers=as_user("stranger"))).status_code == 404
        assert (await api.get(path, headers=as_user(order.buyer_id))).status_code == 200
        assert (await api.get(path, headers=as_user("operator", "platform"))).status_code == 200


async def test_another_buyers_hold_cannot_be_paid_for(
    api: httpx.AsyncClient, as_user: As, booking: asyncpg.Pool
) -> None:
    body = {"ticketTypeId": str(await on_sale(booking, 5)), "quantity": 1}
    hold = (await api.post("/holds", json=body, headers=as_user("buyer-1"))).json()["id"]
    answer = await api.post(
        "/checkout", json={"holdId": hold, "paymentMethod": "pm_card_visa"}, headers=as_user("buyer-2")
    )
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:problem:not-found")


@pytest.mark.parametrize(
    ("body", "at"),
    [
        ({"ticketTypeId": "no", "quantity": 1}, "body/ticketTypeId"),
        ({"ticketTypeId": str(uuid.uuid4()), "quantity": 0}, "body/quantity"),
        ({"ticketTypeId": str(uuid.uuid4()), "quantity": 11}, "body/quantity"),
        ({"ticketTypeId": str(uuid.uuid4()), "quantity": 1, "price": 0}, "body/price"),
    ],
)
async def test_a_wrong_field_is_named_with_its_rule(
    api: httpx.AsyncClient, as_user: As, body: dict[str, object], at: str
) -> None:
    answer = await api.post("/holds", json=body, headers=as_user("buyer-1"))
    assert (answer.status_code, answer.json()["errors"][0]["at"]) == (422, at)


async def test_sold_out_and_unknown_are_told_apart(api: httpx.AsyncClient, as_user: As, booking: asyncpg.Pool) -> None:
    ticket_type = str(await on_sale(booking, 1))
    statuses = [
        (await api.post("/holds", json={"ticketTypeId": wanted, "quantity": 1}, headers=as_user(buyer))).status_code
        for wanted, buyer in ((ticket_type, "a"), (ticket_type, "b"), (str(uuid.uuid4()), "c"))
    ]
    assert statuses == [201, 409, 404]


async def test_an_event_shows_what_is_left(api: httpx.AsyncClient, as_user: As, booking: asyncpg.Pool) -> None:
    ticket_type = await on_sale(booking, 5)
    event = await booking.fetchval("SELECT event_id FROM ticket_types")
    await api.post("/holds", json={"ticketTypeId": str(ticket_type), "quantity": 2}, headers=as_user("a"))
    assert (await api.get(f"/events/{event}")).json()["ticketTypes"][0]["available"] == 3


async def test_an_unreachable_path_is_a_problem_too(api: httpx.AsyncClient) -> None:
    answer = await api.get("/nowhere")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


async def test_the_openapi_document_that_is_served_is_the_committed_one(api: httpx.AsyncClient) -> None:
    assert (await api.get("/openapi.json")).json() == json.loads((FOLDER / "booking.json").read_text())


async def test_a_started_api_says_whether_it_can_serve(
    settings: ApiSettings, databases: Databases, booking: asyncpg.Pool, aws_server: str
) -> None:
    app = create_app(settings.model_copy(update={"database_url": SecretStr(databases.service("booking"))}))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://booking") as client,
    ):
        assert (await client.get("/readyz")).json() == {"status": "ready", "checks": {"database": True}}
