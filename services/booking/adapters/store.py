"""Holds, orders and their tickets in PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg

from services.booking.domain.holds import Hold, HoldStatus
from services.booking.domain.orders import Order, OrderStatus
from services.booking.domain.vouchers import Voucher
from services.booking.ports import Bound, NewTicket

_ORDER = "id, hold_id, event_id, ticket_type_id, buyer_id, quantity, amount, currency, voucher_id, status"

# `held` and `sold` move in the same statement as the hold's status, so they can never disagree.
CONFIRM = """
    WITH moved AS (UPDATE holds SET status = 'confirmed'
                   WHERE id = $1 AND status = 'active' AND expires_at > now() RETURNING pool_id, quantity)
    UPDATE pools p SET held = held - moved.quantity, sold = sold + moved.quantity
    FROM moved WHERE p.id = moved.pool_id RETURNING p.id"""

# The old status is read under the row's lock: it says whether `held` or `sold` gives the capacity back.
RELEASE = """
    WITH found AS (SELECT id, status, pool_id, quantity FROM holds
                   WHERE id = $1 AND status IN ('active', 'confirmed') FOR UPDATE),
         moved AS (UPDATE holds SET status = 'released' FROM found WHERE holds.id = found.id RETURNING found.*),
         freed AS (UPDATE seats SET hold_id = NULL FROM moved WHERE seats.hold_id = moved.id)
    UPDATE pools p
    SET held = held - CASE moved.status WHEN 'active' THEN moved.quantity ELSE 0 END,
        sold = sold - CASE moved.status WHEN 'confirmed' THEN moved.quantity ELSE 0 END
    FROM moved WHERE p.id = moved.pool_id RETURNING p.id"""

BIND = """
    WITH bound AS (UPDATE holds SET order_id = $1, expires_at = greatest(expires_at, now() + $4 * interval '1 second')
                   WHERE id = $2 AND buyer_id = $3 AND status = 'active' AND expires_at > now() AND order_id IS NULL
                   RETURNING ticket_type_id, quantity, unit_price)
    SELECT t.event_id, bound.ticket_type_id, bound.quantity, bound.unit_price * bound.quantity AS amount, t.currency
    FROM bound JOIN ticket_types t ON t.id = bound.ticket_type_id"""

EXTEND = """
    UPDATE holds SET expires_at = now() + $3 * interval '1 second', extensions = extensions + 1
    WHERE id = $1 AND buyer_id = $2 AND status = 'active' AND expires_at > now() AND order_id IS NULL
      AND extensions < $4 RETURNING expires_at"""

MOVE = "UPDATE orders SET status = $3 WHERE id = $1 AND status = ANY($2) RETURNING id"


class PostgresStore:
    """The Store port on one connection, within the caller's transaction."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._db = connection

    async def bind_hold(self, order_id: uuid.UUID, hold_id: uuid.UUID, buyer_id: str, seconds: int) -> Bound | None:
        """Bind a live hold to a new order."""
        row = await self._db.fetchrow(BIND, order_id, hold_id, buyer_id, float(seconds))
        return None if row is None else Bound(**row)

    async def redeem(self, code: str, event_id: uuid.UUID, ticket_type_id: uuid.UUID) -> Voucher | None:
        """Use a voucher once."""
        row = await self._db.fetchrow(
            """UPDATE vouchers SET uses = uses + 1
               WHERE event_id = $1 AND code = $2 AND uses < max_uses AND valid_until > now()
                 AND (ticket_type_id IS NULL OR ticket_type_id = $3) RETURNING id, percent, amount_off""",
            event_id,
            code,
            ticket_type_id,
        )
        return None if row is None else Voucher(**row)

    async def give_back_voucher(self, order_id: uuid.UUID) -> None:
        """The voucher of an order that came to nothing may be used again."""
        await self._db.execute(
            "UPDATE vouchers v SET uses = uses - 1 FROM orders o WHERE o.id = $1 AND v.id = o.voucher_id", order_id
        )

    async def add_order(self, order: Order, payment_method: str) -> None:
        """Write a new order."""
        await self._db.execute(
            f"INSERT INTO orders ({_ORDER}, payment_method) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            order.id,
            order.hold_id,
            order.event_id,
            order.ticket_type_id,
            order.buyer_id,
            order.quantity,
            order.amount,
            order.currency,
            order.voucher_id,
            order.status.value,
            payment_method,
        )
        await self._audit(order.id, None, order.status)

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

    async def extend_hold(self, hold_id: uuid.UUID, buyer_id: str, seconds: int, most: int) -> datetime | None:
        """Give a buyer more time; None when it cannot be."""
        until: datetime | None = await self._db.fetchval(EXTEND, hold_id, buyer_id, float(seconds), most)
        return until

    async def confirm_hold(self, hold_id: uuid.UUID) -> bool:
        """Held becomes sold."""
        return await self._db.fetchval(CONFIRM, hold_id) is not None

    async def release_hold(self, hold_id: uuid.UUID) -> bool:
        """Capacity is given back."""
        return await self._db.fetchval(RELEASE, hold_id) is not None

    async def seats(self, hold_id: uuid.UUID) -> list[uuid.UUID]:
        """The seats of a hold, in the order in which they stand."""
        rows = await self._db.fetch("SELECT id FROM seats WHERE hold_id = $1 ORDER BY section, line, number", hold_id)
        return [row["id"] for row in rows]

    async def issue(self, order: Order, tickets: Sequence[NewTicket]) -> None:
        """Write the tickets of an order."""
        await self._db.executemany(
            """INSERT INTO tickets (id, order_id, number, event_id, holder_id, seat_id, value, code)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING""",
            [
                (new.id, order.id, new.number, order.event_id, order.buyer_id, new.seat_id, new.value, new.code)
                for new in tickets
            ],
        )

    async def void_tickets(self, order_id: uuid.UUID) -> None:
        """Make the tickets of an order worthless."""
        await self._db.execute("UPDATE tickets SET status = 'void' WHERE order_id = $1 AND status = 'valid'", order_id)

    async def tickets(self, order_id: uuid.UUID) -> list[dict[str, Any]]:
        """The live tickets of an order, for display."""
        rows = await self._db.fetch(
            """SELECT t.id, t.number, t.holder_id, t.code, t.status, s.section, s.line, s.number AS seat
               FROM tickets t LEFT JOIN seats s ON s.id = t.seat_id
               WHERE t.order_id = $1 ORDER BY t.number, t.issued_at""",
            order_id,
        )
        return [dict(row) for row in rows]

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
