"""Payments in the state that a test needs, and a look into both books."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

import asyncpg
import stripe

from services.common import inbox
from services.common.inbox import Claim, Outcome
from services.common.saga_worker import Parked, Retry
from services.contracts import Command, Event, EventMessage, Failure
from services.payment import bootstrap, refunding
from services.payment.adapters.reconciling import ledger_differs
from services.payment.adapters.store import PostgresStore
from services.payment.adapters.stripe import StripeProcessor
from services.payment.adapters.transactions import transactions
from services.payment.domain import Payment, Status
from tests.services.conftest import call
from tests.services.samples import message

Faults = Callable[..., object]
CHALLENGED = "pm_card_threeDSecure2Required"


async def carry_out(
    pool: asyncpg.Pool,
    processor: StripeProcessor,
    command: Command,
    order: str,
    *,
    method: str = "pm_card_visa",
    fee: int = 0,
) -> Outcome:
    """One delivery of a command, as the worker does it."""
    sent = message(command, order, method=method)
    claim = await inbox.claim(pool, "payment", sent, seconds=30)
    if claim is None:
        raise Retry(Failure.TRANSIENT, "another delivery has it")
    if not isinstance(claim, Claim):
        return claim
    try:
        return await bootstrap.commands(pool, processor, fee_basis_points=fee)[command](sent, claim)
    except (Retry, Parked):
        await inbox.give_back(pool, claim)
        raise


async def captured(pool: asyncpg.Pool, processor: StripeProcessor, order: str, *, fee: int = 0) -> Payment:
    """A payment of 5,000 that was captured."""
    for command in (Command.AUTHORISE, Command.CAPTURE):
        assert (await carry_out(pool, processor, command, order, fee=fee)).error is None
    return await payment_of(pool, order)


async def payment_of(pool: asyncpg.Pool, order: str) -> Payment:
    found = await PostgresStore(pool).payment(uuid.UUID(order), 1)
    assert found is not None
    return found


async def status(pool: asyncpg.Pool, order: str) -> Status:
    return (await payment_of(pool, order)).status


def intents(account: stripe.StripeClient, order: str) -> list[stripe.PaymentIntent]:
    page = account.v1.payment_intents.list({"limit": 100})
    return [i for i in page.auto_paging_iter() if i.metadata.to_dict().get("order_id") == order]


async def refunded(account: stripe.StripeClient, intent_id: str | None) -> list[int]:
    """What the provider has refunded of an intent, the newest first."""
    page = await asyncio.to_thread(account.v1.refunds.list, {"payment_intent": str(intent_id), "limit": 100})
    return [refund.amount for refund in page.data if refund.status == "succeeded"]


def asked(order: str, amount: int, *, refund: uuid.UUID | None = None) -> EventMessage:
    """Booking's wish for a refund."""
    ids = {"orderId": order, "eventId": "event-1", "buyerId": "buyer-1", "amount": str(amount)}
    return EventMessage(
        id=str(uuid.uuid4()),
        type=Event.ORDER_REFUND_REQUESTED,
        occurred_at=datetime.now(UTC).isoformat(),
        ids={**ids, "refundId": str(refund or uuid.uuid4())},
    )


async def ask(pool: asyncpg.Pool, order: str, amount: int) -> None:
    await refunding.request(transactions(pool), asked(order, amount))


async def happen(stripe_server: str, what: str, name: str | None, **terms: object) -> dict[str, object]:
    """What the buyer, the bank or Stripe's own people do."""
    answer = await asyncio.to_thread(call, f"{stripe_server}/_local/{what}/{name}", terms)
    assert isinstance(answer, dict)
    return answer


async def said(pool: asyncpg.Pool, event: Event) -> list[dict[str, str]]:
    rows = await pool.fetch("SELECT payload FROM outbox WHERE topic = $1 ORDER BY created_at", event.value)
    return [row["payload"] for row in rows]


async def balances(pool: asyncpg.Pool) -> dict[str, int]:
    """What each account has; the ledger is proven on the way."""
    assert await ledger_differs(pool) == []
    rows = await pool.fetch("SELECT account, sum(amount)::bigint AS sum FROM ledger_entries GROUP BY 1")
    found = {row["account"]: row["sum"] for row in rows if row["sum"]}
    assert sum(found.values()) == 0
    return found


async def paid_by(pool: asyncpg.Pool, order: uuid.UUID, buyer: str) -> None:
    """A payment that waits for its buyer's bank."""
    await pool.execute(
        """INSERT INTO payments (order_id, attempt, buyer_id, amount, currency, payment_method, status, client_secret,
                                 action_deadline)
           VALUES ($1, 1, $2, 5000, 'eur', 'pm_card_visa', 'action_required', 'pi_1_secret_1', now())""",
        order,
        buyer,
    )
