"""Refunds of cancelled events: every completed order, one after the other, also those that complete later."""

from __future__ import annotations

import asyncpg

from services.booking.adapters.tickets import PostgresRefunds
from services.booking.domain.refunds import NotRefundable
from services.booking.handlers import refunds
from services.common import logs
from services.common.outbox import Outbox

log = logs.get(__name__)

EVERY_SECONDS = 10.0
BATCH = 100
BY = "event-cancelled"

NEXT = """
    SELECT o.id FROM events e JOIN orders o ON o.event_id = e.id AND o.status = 'completed'
    WHERE e.status = 'cancelled'
      AND EXISTS (SELECT FROM tickets t WHERE t.order_id = o.id AND t.status = 'valid') LIMIT $1"""


async def refund_cancelled(pool: asyncpg.Pool) -> int:
    """Ask for the refunds of up to BATCH orders; returns how many. Another process may do the same at the same time."""
    rows = await pool.fetch(NEXT, BATCH)
    for row in rows:
        async with pool.acquire() as connection, connection.transaction():
            try:
                await refunds.request_refund(
                    PostgresRefunds(connection),
                    Outbox(connection),
                    order_id=row["id"],
                    ticket_ids=None,
                    requested_by=BY,
                    anytime=True,
                )
            except NotRefundable as error:  # somebody else asked meanwhile
                log.info("not refunded again", order=str(row["id"]), reason=str(error))
    return len(rows)
