"""A buyer is erased from payment: the books balance as before, and name nobody."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime

import asyncpg
import pytest

from services.contracts import Command, Event, EventMessage, Failure
from services.payment import bootstrap
from services.payment.adapters.stripe import StripeProcessor
from services.payment.adapters.transactions import transactions
from services.payment.erasing import StillOpen
from tests.services.payment.support import asked, balances, captured, carry_out, payment_of, said

PSEUDONYM = "erased:0b54ad5e-0000-4000-8000-000000000000"


def erased(person: str = "buyer-1") -> EventMessage:
    return EventMessage(
        id=str(uuid.uuid4()),
        type=Event.BUYER_ERASED,
        occurred_at=datetime.now(UTC).isoformat(),
        ids={"buyerId": person, "pseudonym": PSEUDONYM},
    )


async def hear(pool: asyncpg.Pool, event: EventMessage) -> None:
    await bootstrap.on_event(transactions(pool), event)


async def test_the_books_stay_and_name_nobody(payment: asyncpg.Pool, processor: StripeProcessor, order: str) -> None:
    await captured(payment, processor, order)
    before, event = await balances(payment), erased()
    await asyncio.gather(*(hear(payment, event) for _ in range(10)))
    now = await payment_of(payment, order)
    assert (now.buyer_id, now.payment_method, now.client_secret) == (PSEUDONYM, "erased:nothing", None)
    assert await balances(payment) == before
    await payment.execute("DELETE FROM outbox")
    tables = await payment.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    for (table,) in tables:
        assert not await payment.fetchval(f"SELECT count(*) FROM {table} t WHERE strpos(t::text, 'buyer-1') > 0"), table


async def test_a_refund_that_comes_after_it_is_made_and_told_under_the_pseudonym(
    payment: asyncpg.Pool, processor: StripeProcessor, order: str
) -> None:
    await captured(payment, processor, order)
    await hear(payment, erased())
    await hear(payment, asked(order, 2_000))
    await bootstrap.carry_out_refunds(payment, processor)
    [told] = await said(payment, Event.PAYMENT_REFUNDED)
    assert (told["buyerId"], told["amount"]) == (PSEUDONYM, "2000")


async def test_a_payment_that_is_open_is_waited_for(
    payment: asyncpg.Pool, processor: StripeProcessor, order: str
) -> None:
    await carry_out(payment, processor, Command.AUTHORISE, order)
    event = erased()
    with pytest.raises(StillOpen):
        await hear(payment, event)
    assert (await payment_of(payment, order)).buyer_id == "buyer-1"
    await carry_out(payment, processor, Command.CAPTURE, order)
    await hear(payment, event)
    assert (await payment_of(payment, order)).buyer_id == PSEUDONYM


async def test_a_command_that_comes_late_takes_no_money_and_writes_no_name(
    payment: asyncpg.Pool, processor: StripeProcessor, order: str
) -> None:
    await hear(payment, erased())
    late = await carry_out(payment, processor, Command.AUTHORISE, order)
    assert late.error is Failure.REFUSED
    assert (await carry_out(payment, processor, Command.CANCEL_PAYMENT, order)).error is None
    found = await payment_of(payment, order)
    assert (found.buyer_id, found.payment_method, found.intent_id) == ("erased:nothing", "erased:nothing", None)
