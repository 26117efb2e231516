"""What notification has of a person, in PostgreSQL, and of whom Novu has yet to be told."""

from __future__ import annotations

from typing import Final

import asyncpg

from services.common import erasure, inbox
from services.notification.adapters.queue import LEASE_SECONDS
from services.notification.domain import CONSUMER

_REMOVED: Final = (
    "DELETE FROM reports USING deliveries d WHERE reports.transaction_id = d.transaction_id AND d.subscriber_id = $1",
    "DELETE FROM deliveries WHERE subscriber_id = $1",
    "DELETE FROM feed WHERE subscriber_id = $1",
    "DELETE FROM choices WHERE subscriber_id = $1",
    "DELETE FROM subscribers WHERE subscriber_id = $1",
)
_BATCH: Final = 8


class PostgresErasures:
    """The Erasures port; each method is a transaction."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def erase(self, message_id: str, person: str) -> bool:
        """Remove what there is of a person."""
        async with self._pool.acquire() as connection, connection.transaction():
            new = await inbox.first_time(connection, CONSUMER, message_id)
            if not new or not await erasure.erase_once(connection, person):
                return False
            for statement in _REMOVED:
                await connection.execute(statement, person)
            # Whoever is sending to the person just now has a lease, and would make the subscriber anew.
            await connection.execute(
                "INSERT INTO erasures (subscriber_id, due_at) VALUES ($1, now() + $2 * interval '1 second')",
                person,
                LEASE_SECONDS,
            )
            return True

    async def due(self) -> list[str]:
        """Those of whom Novu can be told now."""
        rows = await self._pool.fetch(
            """UPDATE erasures SET attempts = attempts + 1,
                      due_at = now() + least(3600, 60 * power(2, least(attempts, 10))) * interval '1 second'
               WHERE subscriber_id IN (SELECT subscriber_id FROM erasures WHERE due_at <= now()
                                       ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED)
               RETURNING subscriber_id""",
            _BATCH,
        )
        return [row["subscriber_id"] for row in rows]

    async def told(self, person: str) -> None:
        """Novu knows nobody of that id any more, and neither do we."""
        await self._pool.execute("DELETE FROM erasures WHERE subscriber_id = $1", person)
