"""Tickets after they are issued, in PostgreSQL: refunds and transfers."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

import asyncpg

from services.booking.adapters.store import PostgresStore
from services.booking.domain.refunds import Refund, RefundStatus, RefundTerms
from services.booking.domain.tickets import Ticket, TicketStatus

_TICKET = "id, order_id, number, event_id, holder_id, seat_id, value, status"
_REFUND = "id, order_id, ticket_ids, amount, status"

# Together: the tickets, the seats they stood for, the capacity that the order's hold counts, and the pool's.
GIVE_BACK = """
    WITH voided AS (UPDATE tickets SET status = 'void' WHERE id = ANY($2) AND status = 'refunding'
                    RETURNING seat_id),
         given AS (SELECT count(*)::integer AS quantity FROM voided),
         freed AS (UPDATE seats SET hold_id = NULL FROM voided WHERE seats.id = voided.seat_id),
         shrunk AS (UPDATE holds SET quantity = greatest(1, holds.quantity - given.quantity),
                           status = CASE WHEN holds.quantity = given.quantity THEN 'released' ELSE 'confirmed' END
                    FROM given WHERE holds.order_id = $1 AND holds.status = 'confirmed' AND given.quantity > 0
                    RETURNING holds.pool_id, given.quantity)
    UPDATE pools p SET sold = sold - shrunk.quantity FROM shrunk WHERE p.id = shrunk.pool_id"""


class PostgresRefunds(PostgresStore):
    """The RefundStore port on one connection, within the caller's transaction."""

    async def refund_terms(self, event_id: uuid.UUID) -> RefundTerms:
        """Until when buyers of an event may ask."""
        row = await self._db.fetchrow(
            "SELECT refunds_until AS until, status = 'cancelled' AS cancelled FROM events WHERE id = $1", event_id
        )
        return RefundTerms(**row)

    async def set_aside(
        self, order_id: uuid.UUID, ticket_ids: Sequence[uuid.UUID] | None, holder_id: str | None
    ) -> list[Ticket]:
        """Valid tickets to refunding."""
        rows = await self._db.fetch(
            f"""UPDATE tickets SET status = 'refunding'
                WHERE order_id = $1 AND status = 'valid' AND ($2::uuid[] IS NULL OR id = ANY($2))
                  AND ($3::text IS NULL OR holder_id = $3) RETURNING {_TICKET}""",
            order_id,
            None if ticket_ids is None else list(ticket_ids),
            holder_id,
        )
        return [_ticket(row) for row in rows]

    async def add_refund(self, refund: Refund, requested_by: str) -> None:
        """Write a new refund."""
        await self._db.execute(
            "INSERT INTO refunds (id, order_id, ticket_ids, amount, requested_by) VALUES ($1, $2, $3, $4, $5)",
            refund.id,
            refund.order_id,
            list(refund.ticket_ids),
            refund.amount,
            requested_by,
        )

    async def settle_refund(self, refund_id: uuid.UUID, to: RefundStatus) -> Refund | None:
        """Compare-and-set of the status."""
        row = await self._db.fetchrow(
            f"""UPDATE refunds SET status = $2, settled_at = now() WHERE id = $1 AND status = 'requested'
                RETURNING {_REFUND}""",
            refund_id,
            to.value,
        )
        return (
            None
            if row is None
            else Refund(**{**row, "ticket_ids": tuple(row["ticket_ids"]), "status": RefundStatus(row["status"])})
        )

    async def void_refunded(self, refund: Refund) -> int:
        """The refund's tickets to void."""
        await self._db.execute(GIVE_BACK, refund.order_id, list(refund.ticket_ids))
        left: int = await self._db.fetchval(
            "SELECT count(*) FROM tickets WHERE order_id = $1 AND status <> 'void'", refund.order_id
        )
        return left

    async def restore(self, refund: Refund) -> None:
        """The refund's tickets to valid."""
        await self._db.execute(
            "UPDATE tickets SET status = 'valid' WHERE id = ANY($1) AND status = 'refunding'", list(refund.ticket_ids)
        )


class PostgresTransfers:
    """The TransferStore port on one connection, within the caller's transaction."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._db = connection

    async def lock_ticket(self, ticket_id: uuid.UUID) -> Ticket | None:
        """A ticket, locked."""
        row = await self._db.fetchrow(f"SELECT {_TICKET} FROM tickets WHERE id = $1 FOR UPDATE", ticket_id)
        return None if row is None else _ticket(row)

    async def offer(self, transfer_id: uuid.UUID, ticket: Ticket, secret_hash: bytes, seconds: int) -> datetime:
        """Offer a ticket in place of what was offered before."""
        await self._db.execute(
            "UPDATE transfers SET status = 'withdrawn' WHERE ticket_id = $1 AND status = 'offered'", ticket.id
        )
        until: datetime = await self._db.fetchval(
            """INSERT INTO transfers (id, ticket_id, from_id, secret_hash, expires_at)
               VALUES ($1, $2, $3, $4, now() + $5 * interval '1 second') RETURNING expires_at""",
            transfer_id,
            ticket.id,
            ticket.holder_id,
            secret_hash,
            float(seconds),
        )
        return until

    async def accept(self, secret_hash: bytes) -> tuple[uuid.UUID, uuid.UUID] | None:
        """Offered to accepted."""
        row = await self._db.fetchrow(
            """UPDATE transfers SET status = 'accepted'
               WHERE secret_hash = $1 AND status = 'offered' AND expires_at > now() RETURNING id, ticket_id""",
            secret_hash,
        )
        return None if row is None else (row["id"], row["ticket_id"])

    async def replace(self, ticket: Ticket, new_id: uuid.UUID, holder_id: str, code: str) -> None:
        """Void a ticket and write another of its number."""
        await self._db.execute("UPDATE tickets SET status = 'void' WHERE id = $1", ticket.id)
        await self._db.execute(
            """INSERT INTO tickets (id, order_id, number, event_id, holder_id, seat_id, value, code)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)""",
            new_id,
            ticket.order_id,
            ticket.number,
            ticket.event_id,
            holder_id,
            ticket.seat_id,
            ticket.value,
            code,
        )


def _ticket(row: asyncpg.Record) -> Ticket:
    return Ticket(**{**row, "status": TicketStatus(row["status"])})
