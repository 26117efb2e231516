"""The waiting list: buyers of what is sold out, in the order in which they came, and offers of what is given back.

While somebody waits for a pool nobody else is served from it, so whoever came first goes first. An offer is a hold in
the buyer's name: it expires as every hold does, and then the next one has it.
"""

from __future__ import annotations

import uuid
from typing import Any

import asyncpg

from services.booking.adapters.allocator import LOCK, TAKE
from services.booking.adapters.terms import TERMS
from services.booking.domain.holds import fitting
from services.common import logs
from services.common.outbox import Outbox
from services.contracts import Event

log = logs.get(__name__)

# An offer reaches its buyer by mail: longer than a hold that somebody looks at.
OFFER_SECONDS = 1800.0
EVERY_SECONDS = 2.0
# Buyers who are looked at for one offer round of a pool.
_ROUND = 100

# Those whose ticket type is on sale at this moment.
NEXT = f"""
    SELECT w.id, w.ticket_type_id, w.buyer_id, w.quantity, terms.event_id, terms.price
    FROM waiting_list w JOIN ({TERMS}) terms ON terms.id = w.ticket_type_id AND terms.open
    WHERE w.pool_id = $1 AND w.status = 'waiting' ORDER BY w.place LIMIT $2"""


class NothingToWaitFor(Exception):
    """The ticket type is not sold out, has numbered seats, or is unknown."""


async def join(
    connection: asyncpg.Connection, ticket_type_id: uuid.UUID, buyer_id: str, quantity: int
) -> dict[str, Any]:
    """Put a buyer on the list, within the caller's transaction; who waits already keeps his place.

    Raises NothingToWaitFor.
    """
    pool = await connection.fetchrow(
        """SELECT p.id, p.capacity - p.held - p.sold AS available, p.waiting, p.seated
           FROM pools p JOIN ticket_types t ON t.pool_id = p.id WHERE t.id = $1 FOR UPDATE OF p""",
        ticket_type_id,
    )
    if pool is None or pool["seated"] or (pool["available"] >= quantity and not pool["waiting"]):
        raise NothingToWaitFor
    added = await connection.fetchval(
        """INSERT INTO waiting_list (id, pool_id, ticket_type_id, buyer_id, quantity) VALUES ($1, $2, $3, $4, $5)
           ON CONFLICT (ticket_type_id, buyer_id) WHERE status = 'waiting' DO NOTHING RETURNING id""",
        uuid.uuid4(),
        pool["id"],
        ticket_type_id,
        buyer_id,
        quantity,
    )
    if added is not None:
        await connection.execute("UPDATE pools SET waiting = waiting + 1 WHERE id = $1", pool["id"])
    row = await connection.fetchrow(
        """SELECT id, (SELECT count(*) FROM waiting_list o WHERE o.pool_id = w.pool_id AND o.status = 'waiting'
                       AND o.place <= w.place)::integer AS position
           FROM waiting_list w WHERE ticket_type_id = $1 AND buyer_id = $2 AND status = 'waiting'""",
        ticket_type_id,
        buyer_id,
    )
    return dict(row)


async def leave(connection: asyncpg.Connection, entry_id: uuid.UUID, buyer_id: str) -> bool:
    """Take a buyer off the list; False when he did not wait."""
    pool_id = await connection.fetchval("SELECT pool_id FROM waiting_list WHERE id = $1", entry_id)
    # The pool first, as everybody does.
    await connection.execute(LOCK, pool_id)
    done = await connection.execute(
        "UPDATE waiting_list SET status = 'left' WHERE id = $1 AND buyer_id = $2 AND status = 'waiting'",
        entry_id,
        buyer_id,
    )
    if done != "UPDATE 1":
        return False
    await connection.execute("UPDATE pools SET waiting = waiting - 1 WHERE id = $1", pool_id)
    return True


async def entry(pool: asyncpg.Pool, entry_id: uuid.UUID, buyer_id: str) -> dict[str, Any] | None:
    """One's own place, or the offer that it became."""
    row = await pool.fetchrow(
        """SELECT w.id, w.status, w.hold_id, h.expires_at,
                  CASE WHEN w.status = 'waiting' THEN
                    (SELECT count(*) FROM waiting_list o WHERE o.pool_id = w.pool_id AND o.status = 'waiting'
                     AND o.place <= w.place)::integer END AS position
           FROM waiting_list w LEFT JOIN holds h ON h.id = w.hold_id WHERE w.id = $1 AND w.buyer_id = $2""",
        entry_id,
        buyer_id,
    )
    return None if row is None else dict(row)


async def offer(pool: asyncpg.Pool, *, seconds: float = OFFER_SECONDS) -> int:
    """Offer what is free to those who wait for it, in every pool; returns how many offers were made."""
    waited_for = await pool.fetch(
        "SELECT id FROM pools WHERE waiting > 0 AND held + sold < capacity ORDER BY id LIMIT 1000"
    )
    return sum([await _offer(pool, row["id"], seconds) for row in waited_for])


async def _offer(pool: asyncpg.Pool, pool_id: uuid.UUID, seconds: float) -> int:
    async with pool.acquire() as connection, connection.transaction():
        free = await connection.fetchrow(LOCK, pool_id)
        waiting = await connection.fetch(
            NEXT,
            pool_id,
            _ROUND,
        )
        chosen = [waiting[place] for place in fitting([row["quantity"] for row in waiting], free["available"])]
        if not chosen:
            return 0
        holds = [uuid.uuid4() for _ in chosen]
        await connection.fetch(
            TAKE,
            pool_id,
            sum(row["quantity"] for row in chosen),
            holds,
            [row["ticket_type_id"] for row in chosen],
            [row["buyer_id"] for row in chosen],
            [row["quantity"] for row in chosen],
            [row["price"] for row in chosen],
            seconds,
        )
        await connection.execute(
            """UPDATE waiting_list w SET status = 'offered', hold_id = o.hold_id
               FROM unnest($1::uuid[], $2::uuid[]) AS o(id, hold_id) WHERE w.id = o.id""",
            [row["id"] for row in chosen],
            holds,
        )
        await connection.execute("UPDATE pools SET waiting = waiting - $2 WHERE id = $1", pool_id, len(chosen))
        for row, hold_id in zip(chosen, holds, strict=True):
            await Outbox(connection).event(
                Event.OFFER_MADE,
                offerId=str(row["id"]),
                holdId=str(hold_id),
                buyerId=row["buyer_id"],
                eventId=str(row["event_id"]),
            )
    log.info("offers made", pool=str(pool_id), count=len(chosen))
    return len(chosen)
