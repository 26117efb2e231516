"""Our books and the provider's are compared, and a difference stays open until it is gone."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import stripe
from prometheus_client import REGISTRY

from services.contracts import Command
from services.payment import bootstrap
from services.payment.adapters import reconciling
from services.payment.adapters.stripe import StripeProcessor
from tests.services.conftest import _module
from tests.services.payment.support import ask, captured, carry_out, intents

LATER = timedelta(hours=2, minutes=5)


async def compare(pool: asyncpg.Pool, processor: StripeProcessor) -> list[tuple[str, str]]:
    """Compare every window that is due in two hours; returns what is open of this database's own payments."""
    while await reconciling.reconcile_next(pool, processor, now=datetime.now(UTC) + LATER):
        continue
    rows = await pool.fetch("SELECT subject, kind FROM discrepancies WHERE resolved_at IS NULL ORDER BY subject, kind")
    return [tuple(row) for row in rows]


async def again(pool: asyncpg.Pool) -> None:
    """Make the windows with open differences due."""
    await pool.execute("UPDATE reconciliations SET finished_at = finished_at - interval '1 day', lease_until = now()")


@pytest.fixture(autouse=True)
def few_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciling, "BACK", timedelta(hours=3))


@pytest.fixture
def stripe_server(folder: Path) -> Iterator[str]:
    """A Stripe of the test's own: others' payments would be missing here."""
    with _module("scripts.local.stripe", folder / uuid.uuid4().hex) as url:
        yield url


async def test_books_that_agree_have_nothing_open(payment: asyncpg.Pool, processor: StripeProcessor) -> None:
    orders = [str(uuid.uuid4()) for _ in range(3)]
    await captured(payment, processor, orders[0])
    await ask(payment, orders[0], 1_000)
    await bootstrap.carry_out_refunds(payment, processor)
    await carry_out(payment, processor, Command.AUTHORISE, orders[1], method="pm_card_visa_chargeDeclined")
    await carry_out(payment, processor, Command.CANCEL_PAYMENT, orders[2])
    assert await compare(payment, processor) == []
    done = await payment.fetchrow("SELECT sum(payments) AS payments, sum(refunds) AS refunds FROM reconciliations")
    assert done["payments"] >= 3, "a payment may be looked at in the windows after its own, too"
    assert done["refunds"] >= 1


async def test_a_difference_is_open_until_it_is_gone(
    payment: asyncpg.Pool, processor: StripeProcessor, account: stripe.StripeClient, order: str
) -> None:
    await carry_out(payment, processor, Command.AUTHORISE, order)
    [intent] = intents(account, order)
    account.v1.payment_intents.capture(intent.id)
    assert await compare(payment, processor) == [(intent.id, "status")]
    await reconciling.count_open(payment)
    assert REGISTRY.get_sample_value("payment_discrepancies_open") == 1
    assert await compare(payment, processor) == [(intent.id, "status")], "nothing is due again at once"
    await carry_out(payment, processor, Command.CAPTURE, order)
    await again(payment)
    assert await compare(payment, processor) == []
    assert await payment.fetchval("SELECT count(*) FROM discrepancies WHERE resolved_at IS NOT NULL") == 1


async def test_a_charge_that_we_do_not_know_of_is_found(
    payment: asyncpg.Pool, processor: StripeProcessor, account: stripe.StripeClient, order: str
) -> None:
    terms: Any = {"amount": 100, "currency": "eur", "metadata": {"order_id": order, "attempt": "1"}}
    made = account.v1.payment_intents.create(terms)
    account.v1.payment_intents.create({"amount": 100, "currency": "eur"})
    assert await compare(payment, processor) == [(made.id, "missing_here")]


async def test_a_refund_on_one_side_alone_is_found(
    payment: asyncpg.Pool, processor: StripeProcessor, account: stripe.StripeClient, order: str
) -> None:
    paid = await captured(payment, processor, order)
    theirs = account.v1.refunds.create({"payment_intent": str(paid.intent_id), "amount": 10})
    await ask(payment, order, 100)
    ours = await payment.fetchval("SELECT id::text FROM refunds")
    assert set(await compare(payment, processor)) == {(theirs.id, "missing_here"), (ours, "missing_there")}


async def test_an_amount_that_differs_is_found(
    payment: asyncpg.Pool, processor: StripeProcessor, account: stripe.StripeClient, order: str
) -> None:
    await carry_out(payment, processor, Command.AUTHORISE, order)
    await payment.execute("UPDATE payments SET amount = 4999")
    assert await compare(payment, processor) == [(intents(account, order)[0].id, "amount")]


async def test_an_intent_that_the_provider_has_lost_is_found(
    payment: asyncpg.Pool, processor: StripeProcessor, order: str
) -> None:
    await carry_out(payment, processor, Command.AUTHORISE, order)
    await payment.execute("UPDATE payments SET intent_id = 'pi_lost'")
    assert ("pi_lost", "missing_there") in await compare(payment, processor)


async def test_rows_that_the_ledger_contradicts_are_found(
    payment: asyncpg.Pool, processor: StripeProcessor, order: str
) -> None:
    paid = await captured(payment, processor, order)
    assert await reconciling.ledger_differs(payment) == []
    await payment.execute("UPDATE payments SET status = 'authorised'")
    assert [each.subject for each in await reconciling.ledger_differs(payment)] == [paid.id]


async def test_workers_share_the_windows(payment: asyncpg.Pool, processor: StripeProcessor) -> None:
    at = datetime.now(UTC)
    done = await asyncio.gather(*(reconciling.reconcile_next(payment, processor, now=at) for _ in range(6)))
    assert await payment.fetchval("SELECT count(*) FROM reconciliations") == sum(done) >= 1
