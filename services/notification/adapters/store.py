"""Notification's state in PostgreSQL."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import asyncpg

from services.common import inbox
from services.common.inbox import Claim, Outcome
from services.contracts import EventMessage
from services.notification.domain import CONSUMER, Delivery


class PostgresStore:
    """The Store port; each method is a transaction."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def open(self, delivery: Delivery) -> bool:
        """Write the delivery unless it exists."""
        await self._pool.execute(
            """INSERT INTO deliveries (transaction_id, workflow, subscriber_id, payload) VALUES ($1, $2, $3, $4)
               ON CONFLICT DO NOTHING""",
            delivery.transaction_id,
            delivery.workflow,
            delivery.subscriber_id,
            delivery.payload,
        )
        status = await self._pool.fetchval(
            "SELECT status FROM deliveries WHERE transaction_id = $1", delivery.transaction_id
        )
        return bool(status == "pending")

    async def sent(self, delivery: Delivery, claim: Claim | None, outcome: Outcome) -> None:
        """Mark it as sent."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(
                """UPDATE deliveries SET status = 'sent', sent_at = now()
                   WHERE transaction_id = $1 AND status = 'pending'""",
                delivery.transaction_id,
            )
            if claim is not None:
                await claim.decide(connection, outcome)

    async def record(self, event: EventMessage) -> bool:
        """Put an event into its buyer's feed."""
        async with self._pool.acquire() as connection, connection.transaction():
            if not await inbox.first_time(connection, CONSUMER, event.id):
                return False
            await connection.execute(
                "INSERT INTO feed (id, subscriber_id, type, ids, occurred_at) VALUES ($1, $2, $3, $4, $5)",
                event.id,
                event.ids["buyerId"],
                event.type.value,
                event.ids,
                datetime.fromisoformat(event.occurred_at),
            )
            return True

    async def feed(self, subscriber_id: str, limit: int = 100) -> list[dict[str, Any]]:
        """The newest entries of a subscriber's feed."""
        rows = await self._pool.fetch(
            "SELECT id, type, ids, occurred_at FROM feed WHERE subscriber_id = $1 ORDER BY occurred_at DESC LIMIT $2",
            subscriber_id,
            limit,
        )
        return [dict(row) for row in rows]
