"""What booking has of a person, in PostgreSQL."""

from __future__ import annotations

import asyncpg

from services.booking.adapters import waiting_list
from services.common import erasure

# A ticket is live until the day after its event began; that of a cancelled event until its money is back.
LIVE = """
    SELECT (SELECT count(*) FROM holds WHERE buyer_id = $1 AND status = 'active' AND order_id IS NULL) AS holds,
           (SELECT count(*) FROM orders WHERE buyer_id = $1
              AND status IN ('placed', 'confirmed', 'needs_operator')) AS orders,
           (SELECT count(*) FROM tickets t JOIN events e ON e.id = t.event_id
            WHERE t.holder_id = $1 AND (t.status = 'refunding' OR (t.status = 'valid'
              AND (e.status = 'cancelled' OR e.starts_at > now() - interval '1 day')))) AS tickets,
           (SELECT count(*) FROM refunds r JOIN orders o ON o.id = r.order_id
            WHERE o.buyer_id = $1 AND r.status = 'requested') AS refunds,
           (SELECT count(*) FROM events WHERE organiser_id = $1) AS events,
           (SELECT count(*) FROM venues WHERE organiser_id = $1) AS venues"""

KEPT = (
    # Holds and refunds are found through their orders.
    "UPDATE holds SET buyer_id = $2 FROM orders o WHERE o.buyer_id = $1 AND holds.order_id = o.id",
    """UPDATE refunds SET requested_by = $2 FROM orders o
       WHERE o.buyer_id = $1 AND refunds.order_id = o.id AND requested_by = $1""",
    f"UPDATE orders SET buyer_id = $2, payment_method = '{erasure.NOTHING}' WHERE buyer_id = $1",
    "UPDATE tickets SET holder_id = $2 WHERE holder_id = $1",
    "UPDATE transfers SET from_id = $2 WHERE from_id = $1",
)
REMOVED = (
    "DELETE FROM waiting_list WHERE buyer_id = $1",
    "DELETE FROM holds WHERE buyer_id = $1 AND order_id IS NULL AND status IN ('released', 'expired')",
    "DELETE FROM idempotency_keys WHERE principal = $1",
)


class PostgresErasure:
    """The ErasureStore port on one connection, within the caller's transaction."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._db = connection

    async def erase_once(self, person: str) -> bool:
        """Mark a person as erased."""
        return await erasure.erase_once(self._db, person)

    async def leave_lists(self, person: str) -> None:
        """Take a person off the waiting lists."""
        rows = await self._db.fetch(
            "SELECT id FROM waiting_list WHERE buyer_id = $1 AND status = 'waiting' ORDER BY pool_id, place", person
        )
        for row in rows:
            await waiting_list.leave(self._db, row["id"], person)

    async def live(self, person: str) -> dict[str, int]:
        """How much of each kind is not over."""
        return dict(await self._db.fetchrow(LIVE, person))

    async def erase(self, person: str, pseudonym: str) -> None:
        """Put the pseudonym into what is kept, and remove the rest."""
        for statement in KEPT:
            await self._db.execute(statement, person, pseudonym)
        for statement in REMOVED:
            await self._db.execute(statement, person)
