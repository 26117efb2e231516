"""Things that tests need to exist, and the invariants that must hold after whatever they do."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from services.booking import handlers
from services.booking.adapters.allocator import Allocator
from services.booking.adapters.store import PostgresStore
from services.booking.domain import HoldRequest, Order, hold_id
from services.common.outbox import Outbox
from services.contracts import Command, SagaInput, SagaMessage


async def on_sale(pool: asyncpg.Pool, capacity: int, *, price: int = 2_500) -> uuid.UUID:
    """A ticket type of a new event."""
    async with pool.acquire() as connection, connection.transaction():
        store = PostgresStore(connection)
        event = await store.add_event("organiser-1", "Concert", datetime.now(UTC) + timedelta(days=30))
        return await store.add_ticket_type(event, "Standing", price, "eur", capacity)


def wish(ticket_type: uuid.UUID, buyer: str, *, key: str = "first-try", quantity: int = 1) -> HoldRequest:
    return HoldRequest(hold_id(buyer, key), ticket_type, buyer, quantity)


async def ordered(pool: asyncpg.Pool, *, quantity: int = 2, capacity: int = 10, method: str = "pm_card_visa") -> Order:
    """An order just placed, with its hold."""
    buyer = f"buyer-{uuid.uuid4()}"
    request = wish(await on_sale(pool, capacity), buyer, quantity=quantity)
    await Allocator(pool).take(request)
    async with pool.acquire() as connection, connection.transaction():
        return await handlers.checkout(
            PostgresStore(connection),
            Outbox(connection),
            hold_id=request.id,
            buyer_id=buyer,
            payment_method=method,
        )


def message(command: Command, order_id: str, *, method: str = "pm_card_visa", token: str = "token-1") -> SagaMessage:
    return SagaMessage(
        command=command,
        task_token=token,
        execution_arn=f"arn:aws:states:eu-west-3:123456789012:execution:order-saga:{order_id}",
        order_id=order_id,
        input=SagaInput(order_id=order_id, buyer_id="buyer-1", amount=5_000, currency="eur", payment_method=method),
    )


async def oversold(pool: asyncpg.Pool) -> list[dict[str, Any]]:
    """Ticket types whose capacity is exceeded, or whose counters disagree with their holds; must be empty, always."""
    rows = await pool.fetch(
        """SELECT t.id, t.capacity, t.held, t.sold, h.held AS really_held, h.sold AS really_sold
           FROM ticket_types t CROSS JOIN LATERAL (
             SELECT coalesce(sum(quantity) FILTER (WHERE status = 'active'), 0) AS held,
                    coalesce(sum(quantity) FILTER (WHERE status = 'confirmed'), 0) AS sold
             FROM holds WHERE ticket_type_id = t.id) h
           WHERE h.held + h.sold > t.capacity OR t.held <> h.held OR t.sold <> h.sold"""
    )
    return [dict(row) for row in rows]
