"""Things that tests need to exist, and the invariants that must hold after whatever they do."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from services.booking.adapters.allocator import Allocator
from services.booking.adapters.catalogue import Catalogue
from services.booking.adapters.store import PostgresStore
from services.booking.domain.holds import HoldRequest, hold_id
from services.booking.domain.orders import Order
from services.booking.handlers import orders
from services.common.outbox import Outbox
from services.contracts import Command, SagaInput, SagaMessage

ORGANISER = "organiser-1"


async def on_sale(
    pool: asyncpg.Pool, capacity: int, *, price: int = 2_500, max_per_buyer: int = 10, **event: Any
) -> uuid.UUID:
    """A ticket type of a new event, with a pool of its own; ``event`` are columns of it."""
    async with pool.acquire() as connection, connection.transaction():
        catalogue = Catalogue(connection)
        event_id = await catalogue.add_event(ORGANISER, "Concert", datetime.now(UTC) + timedelta(days=30), **event)
        places = await catalogue.add_pool(event_id, "Standing", capacity)
        return await catalogue.add_ticket_type(
            event_id, places, "Standing", "eur", [(None, price)], max_per_buyer=max_per_buyer
        )


def wish(ticket_type: uuid.UUID, buyer: str, *, key: str = "first-try", quantity: int = 1) -> HoldRequest:
    return HoldRequest(hold_id(buyer, key), ticket_type, buyer, quantity)


async def ordered(pool: asyncpg.Pool, *, quantity: int = 2, capacity: int = 10, method: str = "pm_card_visa") -> Order:
    """An order just placed, with its hold."""
    buyer = f"buyer-{uuid.uuid4()}"
    request = wish(await on_sale(pool, capacity), buyer, quantity=quantity)
    await Allocator(pool).take(request)
    async with pool.acquire() as connection, connection.transaction():
        return await orders.checkout(
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
