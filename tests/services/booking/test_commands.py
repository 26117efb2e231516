"""Orders move by compare-and-set, seats come back exactly once, and late commands are refused."""

from __future__ import annotations

import asyncio
import uuid

import asyncpg
import pytest

from services.booking import bootstrap
from services.booking.adapters import store
from services.booking.adapters.audit import inconsistent
from services.booking.adapters.store import PostgresStore
from services.booking.adapters.sweeper import sweep
from services.booking.domain.holds import HoldUnusable
from services.booking.domain.orders import TRANSITIONS, OrderStatus
from services.booking.handlers import orders as handlers
from services.booking.ticket_codes import Signer
from services.common import inbox
from services.common.inbox import Claim, Outcome
from services.common.outbox import Outbox
from services.contracts import Command, Failure
from tests.services.samples import message, ordered


async def carry_out(pool: asyncpg.Pool, signer: Signer, command: Command, order_id: uuid.UUID) -> Outcome:
    """One delivery of a command, as the worker does it."""
    sent = message(command, str(order_id))
    claim = await inbox.claim(pool, "booking", sent, seconds=30)
    if not isinstance(claim, Claim):
        assert claim is not None, "another delivery has it"
        return claim
    return await bootstrap.commands(pool, signer)[command](sent, claim)


async def status(pool: asyncpg.Pool, order_id: uuid.UUID) -> str:
    found: str = await pool.fetchval("SELECT status FROM orders WHERE id = $1", order_id)
    return found


async def counters(pool: asyncpg.Pool) -> tuple[int, int]:
    row = await pool.fetchrow("SELECT held, sold FROM pools")
    return row["held"], row["sold"]


async def test_seats_are_confirmed_and_tickets_issued_once_however_often_it_is_said(
    booking: asyncpg.Pool, signer: Signer
) -> None:
    order = await ordered(booking, quantity=2)
    for command in (Command.CONFIRM_SEATS, Command.CONFIRM_SEATS, Command.ISSUE_TICKETS, Command.ISSUE_TICKETS):
        assert (await carry_out(booking, signer, command, order.id)).error is None
    assert (await counters(booking), await status(booking, order.id)) == ((0, 2), "completed")
    assert await booking.fetchval("SELECT count(*) FROM tickets") == 2
    topics = [row["topic"] for row in await booking.fetch("SELECT topic FROM outbox WHERE destination = 'events'")]
    assert sorted(topics) == ["order.completed", "order.placed", "ticket.issued", "ticket.issued"]


async def test_the_use_cases_are_idempotent_even_without_the_inbox(booking: asyncpg.Pool, signer: Signer) -> None:
    order = await ordered(booking, quantity=3)

    async def confirm() -> Outcome:
        async with booking.acquire() as connection, connection.transaction():
            return await handlers.confirm_seats(PostgresStore(connection), Outbox(connection), order.id)

    async def issue() -> Outcome:
        async with booking.acquire() as connection, connection.transaction():
            return await handlers.issue_tickets(PostgresStore(connection), Outbox(connection), signer, order.id)

    assert {outcome.error for outcome in await asyncio.gather(*(confirm() for _ in range(50)))} == {None}
    assert {outcome.error for outcome in await asyncio.gather(*(issue() for _ in range(50)))} == {None}
    assert await counters(booking) == (0, 3)
    assert await booking.fetchval("SELECT count(*) FROM tickets") == 3
    assert await booking.fetchval("SELECT count(*) FROM outbox WHERE topic = 'order.completed'") == 1


async def test_without_the_compare_and_set_a_hold_is_sold_twice_and_the_invariant_says_so(
    booking: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = await ordered(booking, quantity=2, capacity=10)
    broken = store.CONFIRM.replace("status = 'active' AND", "status IN ('active', 'confirmed') AND")
    broken = broken.replace("held - moved.quantity", "greatest(0, held - moved.quantity)")
    monkeypatch.setattr(store, "CONFIRM", broken)
    for _ in range(2):
        async with booking.acquire() as connection, connection.transaction():
            await handlers.confirm_seats(PostgresStore(connection), Outbox(connection), order.id)
    assert len(await inconsistent(booking)) == 1


async def test_a_hold_that_expired_while_charging_is_lost_for_good(booking: asyncpg.Pool, signer: Signer) -> None:
    order = await ordered(booking)
    await booking.execute("UPDATE holds SET expires_at = now() - interval '1 second'")
    lost = await carry_out(booking, signer, Command.CONFIRM_SEATS, order.id)
    assert lost.error == Failure.HOLD_LOST
    await sweep(booking)
    assert await counters(booking) == (0, 0)
    assert (await carry_out(booking, signer, Command.RELEASE, order.id)).error is None
    assert (await carry_out(booking, signer, Command.CANCEL_ORDER, order.id)).error is None
    assert (await counters(booking), await status(booking, order.id)) == ((0, 0), "cancelled")


@pytest.mark.parametrize("before", [[], [Command.CONFIRM_SEATS]])
async def test_a_release_gives_back_what_was_held_or_sold_exactly_once(
    booking: asyncpg.Pool, signer: Signer, before: list[Command]
) -> None:
    order = await ordered(booking)
    for command in before:
        await carry_out(booking, signer, command, order.id)

    async def release() -> Outcome:
        async with booking.acquire() as connection, connection.transaction():
            return await handlers.release(PostgresStore(connection), Outbox(connection), order.id)

    assert {outcome.error for outcome in await asyncio.gather(*(release() for _ in range(20)))} == {None}
    assert await counters(booking) == (0, 0)
    assert await inconsistent(booking) == []


async def test_a_late_confirmation_finds_the_tombstone(booking: asyncpg.Pool, signer: Signer) -> None:
    order = await ordered(booking)
    await carry_out(booking, signer, Command.RELEASE, order.id)
    assert (await carry_out(booking, signer, Command.CONFIRM_SEATS, order.id)).error == Failure.HOLD_LOST
    await carry_out(booking, signer, Command.CANCEL_ORDER, order.id)
    assert (await carry_out(booking, signer, Command.ISSUE_TICKETS, order.id)).error == Failure.SEAT_GONE
    assert await counters(booking) == (0, 0)


async def test_a_completed_order_can_be_neither_released_nor_cancelled(booking: asyncpg.Pool, signer: Signer) -> None:
    order = await ordered(booking)
    for command in (Command.CONFIRM_SEATS, Command.ISSUE_TICKETS):
        await carry_out(booking, signer, command, order.id)
    for command in (Command.RELEASE, Command.CANCEL_ORDER):
        assert (await carry_out(booking, signer, command, order.id)).error == Failure.REFUSED
    assert await status(booking, order.id) == "completed"


async def test_a_parked_order_waits_for_an_operator_and_may_still_be_completed(
    booking: asyncpg.Pool, signer: Signer
) -> None:
    order = await ordered(booking)
    await carry_out(booking, signer, Command.CONFIRM_SEATS, order.id)
    await carry_out(booking, signer, Command.NEEDS_OPERATOR, order.id)
    assert await status(booking, order.id) == "needs_operator"
    assert (await carry_out(booking, signer, Command.ISSUE_TICKETS, order.id)).error is None
    audit = await booking.fetch("SELECT was, became FROM order_transitions ORDER BY at")
    assert [(row["was"], row["became"]) for row in audit] == [
        (None, "placed"),
        ("placed", "confirmed"),
        ("confirmed", "needs_operator"),
        ("needs_operator", "completed"),
    ]


async def test_one_hold_makes_one_order_however_many_ask_at_once(booking: asyncpg.Pool) -> None:
    order = await ordered(booking)

    async def again() -> None:
        async with booking.acquire() as connection, connection.transaction():
            await handlers.checkout(
                PostgresStore(connection),
                Outbox(connection),
                hold_id=order.hold_id,
                buyer_id=order.buyer_id,
                payment_method="pm_card_visa",
            )

    results = await asyncio.gather(*(again() for _ in range(10)), return_exceptions=True)
    assert {type(result) for result in results} == {HoldUnusable}
    assert await booking.fetchval("SELECT count(*) FROM outbox WHERE destination = 'saga'") == 1


def test_no_final_state_of_an_order_can_be_left() -> None:
    assert TRANSITIONS[OrderStatus.REFUNDED] == TRANSITIONS[OrderStatus.CANCELLED] == frozenset()
