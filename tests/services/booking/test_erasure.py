"""A person is erased from booking: what is kept names nobody, what need not be kept is gone, nobody else notices."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import asyncpg
import pytest

from services.booking.adapters import audit, sweeper, waiting_list
from services.booking.adapters.allocator import Allocator
from services.booking.adapters.erasing import PostgresErasure
from services.booking.handlers import erasing
from services.booking.ticket_codes import Signer
from services.common.outbox import Outbox
from services.contracts import Event
from tests.services.booking.conftest import People, Person
from tests.services.booking.test_after_sale import bought
from tests.services.samples import ORGANISER, on_sale, ordered, wish


async def over(pool: asyncpg.Pool) -> None:
    """As if every event had been last week."""
    await pool.execute("UPDATE events SET starts_at = now() - interval '7 days'")


async def naming(pool: asyncpg.Pool, person: str) -> set[str]:
    """The tables of which a row names ``person``."""
    tables = await pool.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return {
        table
        for (table,) in tables
        if await pool.fetchval(f"SELECT count(*) FROM {table} AS t WHERE strpos(t::text, $1) > 0", person)
    }


async def said(pool: asyncpg.Pool) -> list[dict[str, str]]:
    rows = await pool.fetch("SELECT payload FROM outbox WHERE topic = $1", Event.BUYER_ERASED.value)
    return [row["payload"] for row in rows]


async def a_life(pool: asyncpg.Pool, signer: Signer, person: People) -> Person:
    """A buyer who has bought, given a ticket back in vain, handed one on, waited, given up and let a hold expire."""
    order = await bought(pool, signer, quantity=3)
    buyer = person(order.buyer_id)
    mine = (await buyer.get("/tickets")).json()
    secret = (await buyer.post(f"/tickets/{mine[0]['id']}/offer")).json()["secret"]
    assert (await person("friend").post("/transfers", {"secret": secret})).status_code == 201
    refund = (await buyer.post(f"/orders/{order.id}/refunds", {"ticketIds": [mine[1]["id"]]})).json()
    await pool.execute("UPDATE refunds SET status = 'failed' WHERE id = $1", uuid.UUID(refund["id"]))
    await pool.execute("UPDATE tickets SET status = 'valid' WHERE status = 'refunding'")
    ticket_type = await on_sale(pool, 1)
    await Allocator(pool).take(wish(ticket_type, "somebody"))
    for name in (buyer.subject, "another"):
        asked = {"ticketTypeId": str(ticket_type), "quantity": 1}
        assert (await person(name).post("/waiting-list", asked)).status_code == 201
    await Allocator(pool, hold_seconds=-1).take(wish(await on_sale(pool, 1), buyer.subject, key="another-try"))
    assert await sweeper.sweep(pool) == 1
    return buyer


async def test_who_asks_is_erased_and_the_accounts_go_on_under_a_pseudonym(
    booking: asyncpg.Pool, signer: Signer, person: People
) -> None:
    buyer = await a_life(booking, signer, person)
    await over(booking)
    places = {"holds", "idempotency_keys", "orders", "outbox", "refunds", "tickets", "transfers", "waiting_list"}
    assert await naming(booking, buyer.subject) == places, "the test has filled every place where a buyer can be"
    before = await booking.fetchrow("SELECT count(*) AS orders, sum(amount) AS amount FROM orders")
    assert (await buyer.delete(f"/buyers/{buyer.subject}")).status_code == 204
    # What was said is on its way to those who must hear it; retention removes it.
    assert await naming(booking, buyer.subject) == {"outbox"}
    [event] = await said(booking)
    assert event["buyerId"] == buyer.subject
    assert event["pseudonym"].startswith("erased:")
    assert buyer.subject not in event["pseudonym"]
    assert await naming(booking, event["pseudonym"]) == {"orders", "holds", "tickets", "transfers", "refunds", "outbox"}
    assert await booking.fetchrow("SELECT count(*) AS orders, sum(amount) AS amount FROM orders") == before
    assert await booking.fetchval("SELECT DISTINCT payment_method FROM orders") == "erased:nothing"
    await booking.execute("UPDATE events SET starts_at = now()")
    assert await audit.inconsistent(booking) == []
    assert len((await person("friend").get("/tickets")).json()) == 1, "the friend's ticket is the friend's"
    assert await booking.fetchval("SELECT buyer_id FROM waiting_list") == "another"


async def test_erasing_again_or_many_times_at_once_is_the_same_and_is_said_once(
    booking: asyncpg.Pool, person: People
) -> None:
    buyer = person("buyer-1")
    answers = await asyncio.gather(*(buyer.delete("/buyers/buyer-1") for _ in range(10)))
    answers.append(await buyer.delete("/buyers/buyer-1"))
    assert {answer.status_code for answer in answers} == {204}
    assert len(await said(booking)) == 1


@pytest.mark.parametrize(
    ("caller", "roles", "status"),
    [
        ("buyer-1", [], 204),
        ("support", ["platform"], 204),
        ("buyer-2", [], 404),
        (ORGANISER, ["organiser"], 404),
    ],
)
async def test_one_erases_oneself_and_the_platform_anybody(
    booking: asyncpg.Pool, person: People, caller: str, roles: list[str], status: int
) -> None:
    answer = await person(caller, *roles).delete("/buyers/buyer-1")
    assert answer.status_code == status
    assert len(await said(booking)) == (status == 204)


async def live_hold(pool: asyncpg.Pool, signer: Signer, person: People) -> str:
    await Allocator(pool).take(wish(await on_sale(pool, 5), "buyer-1"))
    return "buyer-1"


async def live_order(pool: asyncpg.Pool, signer: Signer, person: People) -> str:
    return (await ordered(pool)).buyer_id


async def live_ticket(pool: asyncpg.Pool, signer: Signer, person: People) -> str:
    return (await bought(pool, signer)).buyer_id


async def live_refund(pool: asyncpg.Pool, signer: Signer, person: People) -> str:
    order = await bought(pool, signer)
    assert (await person(order.buyer_id).post(f"/orders/{order.id}/refunds", {})).status_code == 202
    await over(pool)
    return order.buyer_id


async def ticket_of_a_cancelled_event(pool: asyncpg.Pool, signer: Signer, person: People) -> str:
    order = await bought(pool, signer)
    await over(pool)
    await pool.execute("UPDATE events SET status = 'cancelled'")
    return order.buyer_id


async def own_event(pool: asyncpg.Pool, signer: Signer, person: People) -> str:
    await on_sale(pool, 1)
    return ORGANISER


@pytest.mark.parametrize(
    ("prepare", "named"),
    [
        (live_hold, "1 holds"),
        (live_order, "1 orders"),
        (live_ticket, "2 tickets"),
        (live_refund, "2 tickets, 1 refunds"),
        (ticket_of_a_cancelled_event, "2 tickets"),
        (own_event, "1 events"),
    ],
)
async def test_while_something_is_live_the_answer_says_what_and_nothing_changes(
    booking: asyncpg.Pool, signer: Signer, person: People, prepare: Any, named: str
) -> None:
    subject = await prepare(booking, signer, person)
    before = await naming(booking, subject)
    answer = await person(subject).delete(f"/buyers/{subject}")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:problem:still-needed")
    assert f"still live: {named}. Give" in answer.json()["detail"]
    assert await naming(booking, subject) == before
    assert await said(booking) == []


async def test_a_crash_before_the_commit_changes_nothing_and_the_next_try_does_it_all(
    booking: asyncpg.Pool, signer: Signer, person: People
) -> None:
    buyer = await a_life(booking, signer, person)
    await over(booking)
    before = await naming(booking, buyer.subject)
    async with booking.acquire() as connection:
        crashed = connection.transaction()
        await crashed.start()
        await erasing.erase(PostgresErasure(connection), Outbox(connection), buyer.subject)
        await crashed.rollback()
    assert await naming(booking, buyer.subject) == before
    assert (await buyer.delete(f"/buyers/{buyer.subject}")).status_code == 204
    assert await naming(booking, buyer.subject) == {"outbox"}


async def test_whose_token_outlives_the_erasure_leaves_nothing_new(booking: asyncpg.Pool, person: People) -> None:
    ticket_type, buyer = await on_sale(booking, 5), person("buyer-1")
    assert (await buyer.delete("/buyers/buyer-1")).status_code == 204
    held = await buyer.post("/holds", {"ticketTypeId": str(ticket_type), "quantity": 1})
    answer = await buyer.post("/checkout", {"holdId": held.json()["id"], "paymentMethod": "pm_card_visa"})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:problem:erased")
    assert await naming(booking, "buyer-1") == {"holds", "outbox"}, "a hold ends by itself, and retention removes it"


async def test_an_offer_that_is_being_made_is_seen_by_the_erasure(booking: asyncpg.Pool, person: People) -> None:
    ticket_type, buyer = await on_sale(booking, 1), person("buyer-1")
    await Allocator(booking).take(wish(ticket_type, "somebody"))
    await buyer.post("/waiting-list", {"ticketTypeId": str(ticket_type), "quantity": 1})
    await booking.execute("UPDATE holds SET status = 'released'")
    await booking.execute("UPDATE pools SET held = 0")
    offered, erased = await asyncio.gather(waiting_list.offer(booking), buyer.delete("/buyers/buyer-1"))
    assert (offered, erased.status_code) in {(1, 409), (0, 204)}
    assert await audit.inconsistent(booking) == []
