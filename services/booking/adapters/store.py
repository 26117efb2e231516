"""Booking's state in PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from services.booking.domain import Hold, HoldStatus, Order, OrderStatus

_ORDER = "id, hold_id, event_id, ticket_type_id, buyer_id, quantity, amount, currency, status"

# `held` and `sold` move in the same statement as the hold's status, so they can never disagree.
CONFIRM = """
    WITH moved AS (UPDATE holds SET status = 'confirmed'
                   WHERE id = $1 AND status = 'active' AND expires_at > now() RETURNING ticket_type_id, quantity)
    UPDATE ticket_types t SET held = held - moved.quantity, sold = sold + moved.quantity
    FROM moved WHERE t.id = moved.ticket_type_id RETURNING t.id"""

# The old status is read under the row's lock: it says whether `held` or `sold` gives the capacity back.
RELEASE = """
    WITH found AS (SELECT id, status, ticket_type_id, quantity FROM holds
                   WHERE id = $1 AND status IN ('active', 'confirmed') FOR UPDATE),
         moved AS (UPDATE holds SET status = 'released' FROM found WHERE holds.id = found.id RETURNING found.*)
    UPDATE ticket_types t
    SET held = held - CASE moved.status WHEN 'active' THEN moved.quantity ELSE 0 END,
        sold = sold - CASE moved.status WHEN 'confirmed' THEN moved.quantity ELSE 0 END
    FROM moved WHERE t.id = moved.ticket_type_id RETURNING t.id"""

PLACE = f"""
    WITH bound AS (UPDATE holds SET order_id = $1, expires_at = greatest(expires_at, now() + $5 * interval '1 second')
                   WHERE id = $2 AND buyer_id = $3 AND status = 'active' AND expires_at > now() AND order_id IS NULL
                   RETURNING id, ticket_type_id, buyer_id, quantity)
    INSERT INTO orders (id, hold_id, event_id, ticket_type_id, buyer_id, quantity, amount, currency, payment_method,
    status)
    SELECT $1, bound.id, t.event_id, t.id, bound.buyer_id, bound.quantity, t.price * bound.quantity, t.currency, $4,
    'placed'
    FROM bound JOIN ticket_types t ON t.id = bound.ticket_type_id RETURNING {_ORDER}"""

MOVE = "UPDATE orders SET status = $3 WHERE id = $1 AND status = ANY($2) RETURNING id"


class PostgresStore:
    """The Store port on one connection, within the caller's transaction."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._db = connection

    async def add_event(self, organiser_id: str, name: str, starts_at: datetime) -> uuid.UUID:
        """Create an event."""
        event_id = uuid.uuid4()
        await self._db.execute(
            "INSERT INTO events (id, organiser_id, name, starts_at) VALUES ($1, $2, $3, $4)",
            event_id,
            organiser_id,
            name,
            starts_at,
        )
        return event_id

    async def add_ticket_type(
        self, event_id: uuid.UUID, name: str, price: int, currency: str, capacity: int
    ) -> uuid.UUID:
        """Create a ticket type with its capacity."""
        ticket_type_id = uuid.uuid4()
        await self._db.execute(
            "INSERT INTO ticket_types (id, event_id, name, price, currency, capacity) VALUES ($1, $2, $3, $4, $5, $6)",
            ticket_type_id,
            event_id,
            name,
            price,
            currency,
            capacity,
        )
        return ticket_type_id

    async def organiser_of(self, event_id: uuid.UUID) -> str | None:
        """The owner of an event."""
        found: str | None = await self._db.fetchval("SELECT organiser_id FROM events WHERE id = $1", event_id)
        return found

    async def event(self, event_id: uuid.UUID) -> dict[str, Any] | None:
        """An event with its ticket types, for display."""
        event = await self._db.fetchrow("SELECT id, organiser_id, name, starts_at FROM events WHERE id = $1", event_id)
        if event is None:
            return None
        types = await self._db.fetch(
            """SELECT id, name, price, currency, capacity, capacity - held - sold AS available
               FROM ticket_types WHERE event_id = $1 ORDER BY price, id""",
            event_id,
        )
        return {**event, "ticket_types": [dict(row) for row in types]}

    async def place_order(
        self, order_id: uuid.UUID, hold_id: uuid.UUID, buyer_id: str, payment_method: str, seconds: int
    ) -> Order | None:
        """Bind a live hold to a new order."""
        row = await self._db.fetchrow(PLACE, order_id, hold_id, buyer_id, payment_method, float(seconds))
        if row is not None:
            await self._audit(order_id, None, OrderStatus.PLACED)
        return _order(row)

    async def order(self, order_id: uuid.UUID) -> Order | None:
        """An order."""
        return _order(await self._db.fetchrow(f"SELECT {_ORDER} FROM orders WHERE id = $1", order_id))

    async def lock(self, order_id: uuid.UUID) -> Order | None:
        """An order, locked."""
        return _order(await self._db.fetchrow(f"SELECT {_ORDER} FROM orders WHERE id = $1 FOR UPDATE", order_id))

    async def move_order(self, order_id: uuid.UUID, expected: Sequence[OrderStatus], to: OrderStatus) -> bool:
        """Compare-and-set of the status."""
        # Locked first, so that the audit's `was` is what the update replaced.
        was = await self._db.fetchval("SELECT status FROM orders WHERE id = $1 FOR UPDATE", order_id)
        if await self._db.fetchval(MOVE, order_id, [state.value for state in expected], to.value) is None:
            return False
        await self._audit(order_id, was, to)
        return True

    async def _audit(self, order_id: uuid.UUID, was: str | None, became: OrderStatus) -> None:
        await self._db.execute(
            "INSERT INTO order_transitions (order_id, was, became) VALUES ($1, $2, $3)", order_id, was, became.value
        )

    async def hold(self, hold_id: uuid.UUID) -> Hold | None:
        """A hold."""
        row = await self._db.fetchrow(
            "SELECT id, ticket_type_id, buyer_id, quantity, status, expires_at FROM holds WHERE id = $1", hold_id
        )
        return None if row is None else Hold(**{**row, "status": HoldStatus(row["status"])})

    async def confirm_hold(self, hold_id: uuid.UUID) -> bool:
        """Held becomes sold."""
        return await self._db.fetchval(CONFIRM, hold_id) is not None

    async def release_hold(self, hold_id: uuid.UUID) -> bool:
        """Capacity is given back."""
        return await self._db.fetchval(RELEASE, hold_id) is not None

    async def issue(self, order: Order, codes: Mapping[uuid.UUID, str]) -> None:
        """Write the tickets of an order."""
        await self._db.executemany(
            """INSERT INTO tickets (id, order_id, number, event_id, code) VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT DO NOTHING""",
            [(id, order.id, number, order.event_id, code) for number, (id, code) in enumerate(codes.items(), 1)],
        )

    async def void_tickets(self, order_id: uuid.UUID) -> None:
        """Make the tickets of an order worthless."""
        await self._db.execute("UPDATE tickets SET status = 'void' WHERE order_id = $1 AND status = 'valid'", order_id)

    async def tickets(self, order_id: uuid.UUID) -> list[dict[str, Any]]:
        """The tickets of an order, for display."""
        rows = await self._db.fetch(
            "SELECT id, code, status FROM tickets WHERE order_id = $1 ORDER BY number", order_id
        )
        return [dict(row) for row in rows]

    async def ticket(self, ticket_id: uuid.UUID) -> dict[str, Any] | None:
        """A ticket, with the organiser who may check it."""
        row = await self._db.fetchrow(
            """SELECT t.id, t.status, t.event_id, t.order_id, e.organiser_id
               FROM tickets t JOIN events e ON e.id = t.event_id WHERE t.id = $1""",
            ticket_id,
        )
        return None if row is None else dict(row)

    async def steps(self, order_id: uuid.UUID) -> list[dict[str, Any]]:
        """The commands that booking's own workers carried out for an order."""
        rows = await self._db.fetch(
            """SELECT command, attempts, received_at, decided_at, answered_at, error, cause FROM inbox
               WHERE order_id = $1 ORDER BY received_at""",
            str(order_id),
        )
        return [dict(row) for row in rows]


def _order(row: asyncpg.Record | None) -> Order | None:
    return None if row is None else Order(**{**row, "status": OrderStatus(row["status"])})
