"""What cannot be is told by its field and its rule, and changes nothing: no client's value makes a failure of ours."""

from __future__ import annotations

import json
import uuid
from typing import Any

import asyncpg
import httpx
import pytest

from services.common.runtime import LARGEST_BODY
from services.contracts import Event
from tests.services.booking.conftest import As, Person

EVENT = {"name": "Concert", "startsAt": "2030-05-01T20:00:00+02:00"}
VENUE = {"name": "Hall", "address": "Main street 1", "city": "Paris", "country": "FR"}
HOLD = {"ticketTypeId": str(uuid.UUID(int=1)), "quantity": 1}
# JSON can say half of a surrogate pair; UTF-8, and so PostgreSQL, cannot.
HALF = "\ud800"


@pytest.mark.parametrize(
    ("path", "body", "at"),
    [
        ("/events", {**EVENT, "name": "a\x00b"}, "body/name"),
        ("/events", {**EVENT, "description": "a\x00b"}, "body/description"),
        ("/events", {**EVENT, "description": HALF}, "body/description"),
        ("/events", {**EVENT, "startsAt": "0001-01-01T00:00:00+14:00"}, "body/startsAt"),
        ("/events", {**EVENT, "startsAt": "9999-12-31T23:59:59-14:00"}, "body/startsAt"),
        ("/events", {**EVENT, "startsAt": 1_893_456_000}, "body/startsAt"),
        ("/events", {**EVENT, "startsAt": "1893456000"}, "body/startsAt"),
        ("/events", {**EVENT, "startsAt": "2030-05-01T20:00:00"}, "body/startsAt"),
        ("/events", {**EVENT, "draft": "yes"}, "body/draft"),
        ("/events", {**EVENT, "draft": 1}, "body/draft"),
        ("/venues", {**VENUE, "latitude": True}, "body/latitude"),
        ("/venues", {**VENUE, "latitude": "48.8"}, "body/latitude"),
        ("/holds", {**HOLD, "quantity": True}, "body/quantity"),
        ("/holds", {**HOLD, "quantity": "1"}, "body/quantity"),
        ("/holds", {**HOLD, "quantity": 2**31}, "body/quantity"),
        ("/holds", {**HOLD, "quantity": 2**63}, "body/quantity"),
        ("/holds", {**HOLD, HALF: 1}, "body"),
        ("/waiting-list", {**HOLD, "quantity": 10**400}, "body/quantity"),
    ],
)
async def test_a_value_that_cannot_be_kept_is_named_with_its_field(
    organiser: Person, booking: asyncpg.Pool, path: str, body: dict[str, Any], at: str
) -> None:
    answer = await raw(organiser, path, json.dumps(body).encode())
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:problem:invalid-request")
    assert [fault["at"] for fault in answer.json()["errors"]] == [at]
    assert await nothing_written(booking)


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b'{"name": "\xff"}', 400, "unreadable-body"),
        (b"[" * 100_000, 400, "unreadable-body"),
        (b'{"quantity": ' + b"1" * 5_000 + b"}", 400, "unreadable-body"),
        (b'{"name": ', 422, "invalid-request"),
        (b"null", 422, "invalid-request"),
        (b"", 422, "invalid-request"),
        (b" " * (LARGEST_BODY + 1), 413, "too-large"),
    ],
    ids=["not UTF-8", "too deep", "endless number", "not JSON", "null", "nothing", "too large"],
)
async def test_a_body_that_cannot_be_read_is_refused(
    organiser: Person, booking: asyncpg.Pool, body: bytes, status: int, kind: str
) -> None:
    answer = await raw(organiser, "/events", body)
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:problem:{kind}")
    assert answer.headers["content-type"] == "application/problem+json"
    assert await nothing_written(booking)


async def test_a_key_that_is_no_key_is_refused(api: httpx.AsyncClient, as_user: As, booking: asyncpg.Pool) -> None:
    for key in ("short", "with spaces in it", "é" * 10, "x" * 129):
        headers = {**as_user("organiser-1", "organiser"), "Idempotency-Key": key.encode("latin-1")}
        answer = await api.post("/events", json=EVENT, headers=headers)  # type: ignore[arg-type]
        assert (answer.status_code, answer.json()["errors"][0]["at"]) == (422, "header/Idempotency-Key")
    assert await nothing_written(booking)


async def test_a_path_says_all_of_its_methods(api: httpx.AsyncClient) -> None:
    answer = await api.put(f"/waiting-list/{uuid.uuid4()}")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, DELETE")


async def test_what_was_refused_may_be_sent_again_under_the_same_key(organiser: Person, booking: asyncpg.Pool) -> None:
    assert (await organiser.post("/events", {**EVENT, "startsAt": "soon"}, key="one-event")).status_code == 422
    assert (await organiser.post("/events", EVENT, key="one-event")).status_code == 201
    kinds = await booking.fetch("SELECT topic FROM outbox")
    assert [row["topic"] for row in kinds] == [Event.EVENT_CHANGED.value]


async def raw(person: Person, path: str, body: bytes) -> httpx.Response:
    headers = {**person.as_user(person.subject, *person.roles), "Content-Type": "application/json"}
    return await person.api.post(path, content=body, headers=headers)


async def nothing_written(pool: asyncpg.Pool) -> bool:
    tables = ("venues", "events", "holds", "waiting_list", "outbox", "idempotency_keys")
    return not any([await pool.fetchval(f"SELECT count(*) FROM {table}") for table in tables])
