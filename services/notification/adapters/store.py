"""Notification's state in PostgreSQL, apart from the queue's own changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg

from services.common import erasure, inbox
from services.common.inbox import Claim, Outcome
from services.contracts import EventMessage
from services.notification.adapters.queue import settle
from services.notification.domain import CONSUMER, Delivery, Report, Status
from services.notification.workflows.model import Channel

# Webhooks and events have ids of their own makers, so each has an inbox of its own.
REPORTS = "notification.reports"

# The ids of an event that name people: a feed shows its owner's alone.
_PEOPLE = ("buyerId", "recipientId", "organiserId")
# A digest takes more in until it was tried for the first time.
_OPEN_DIGEST = """
SELECT transaction_id FROM deliveries
WHERE subscriber_id = $1 AND workflow = $2 AND status = 'pending' AND digest_id IS NULL AND attempts = 0
ORDER BY due_at LIMIT 1 FOR UPDATE
"""
_QUEUE = """
INSERT INTO deliveries (transaction_id, workflow, subscriber_id, payload, priority, digest_id, due_at)
VALUES ($1, $2, $3, $4, $5, $6, now() + $7 * interval '1 second') ON CONFLICT DO NOTHING
"""


class PostgresStore:
    """The Store port; each method is a transaction."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def queue(self, deliveries: Sequence[Delivery]) -> int:
        """Queue those that are new."""
        async with self._pool.acquire() as connection, connection.transaction():
            return await _queue(connection, deliveries)

    async def queue_for(self, delivery: Delivery, claim: Claim, outcome: Outcome) -> None:
        """Queue it, and decide the command."""
        async with self._pool.acquire() as connection, connection.transaction():
            await _queue(connection, [delivery])
            await claim.decide(connection, outcome)

    async def record(self, event: EventMessage, deliveries: Sequence[Delivery]) -> bool:
        """Put an event into the feeds, and queue what tells of it."""
        about = {each.subscriber_id: each.transaction_id for each in deliveries}
        buyer = event.ids.get("buyerId")
        concerned = dict.fromkeys([*([buyer] if buyer else []), *about])
        async with self._pool.acquire() as connection, connection.transaction():
            if not await inbox.first_time(connection, CONSUMER, event.id):
                return False
            await _queue(connection, deliveries)
            known = await erasure.remaining(connection, concerned)
            await connection.executemany(
                """INSERT INTO feed (id, subscriber_id, type, ids, occurred_at, transaction_id)
                   VALUES ($1, $2, $3, $4, $5, $6)""",
                [
                    (
                        event.id if number == 0 else f"{event.id}:{number}",
                        subscriber,
                        event.type.value,
                        {name: id for name, id in event.ids.items() if name not in _PEOPLE or id == subscriber},
                        datetime.fromisoformat(event.occurred_at),
                        about.get(subscriber),
                    )
                    for number, subscriber in enumerate(each for each in concerned if each in known)
                ],
            )
            return True

    async def report(self, message_id: str, transaction_id: str, channel: Channel, report: Report) -> bool:
        """Keep the weightiest report of each channel, and bring the delivery to it."""
        async with self._pool.acquire() as connection, connection.transaction():
            known = await connection.fetchval(
                "SELECT true FROM deliveries WHERE transaction_id = $1 FOR UPDATE", transaction_id
            )
            if not known or not await inbox.first_time(connection, REPORTS, message_id):
                return False
            await connection.execute(
                """INSERT INTO reports AS r (transaction_id, channel, report) VALUES ($1, $2, $3)
                   ON CONFLICT (transaction_id, channel) DO UPDATE SET report = EXCLUDED.report, received_at = now()
                   WHERE r.report = ANY($4)""",
                transaction_id,
                channel.value,
                report.value,
                [lighter.value for lighter in Report if lighter.weight < report.weight],
            )
            await settle(connection, transaction_id)
            return True

    async def requeue(self, transaction_id: str) -> Status | None:
        """Put a dead delivery back, with what its digest gathered."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(
                """UPDATE deliveries SET status = 'pending', due_at = now(), attempts = least(attempts, 1),
                          decided_at = NULL
                   WHERE coalesce(digest_id, transaction_id) =
                     (SELECT coalesce(digest_id, transaction_id) FROM deliveries WHERE transaction_id = $1)
                     AND status = 'dead'""",
                transaction_id,
            )
            status = await connection.fetchval(
                "SELECT status FROM deliveries WHERE transaction_id = $1", transaction_id
            )
            return Status(status) if status else None

    async def dead(self, limit: int) -> list[dict[str, Any]]:
        """The deliveries that were given up."""
        rows = await self._pool.fetch(
            """SELECT transaction_id, workflow, attempts, reason, decided_at FROM deliveries
               WHERE status = 'dead' AND digest_id IS NULL ORDER BY decided_at DESC LIMIT $1""",
            limit,
        )
        return [dict(row) for row in rows]

    async def feed(self, subscriber_id: str, limit: int = 100) -> list[dict[str, Any]]:
        """The newest entries of a subscriber's feed."""
        rows = await self._pool.fetch(
            """SELECT f.id, f.type, f.ids, f.occurred_at, d.status FROM feed f
               LEFT JOIN deliveries d ON d.transaction_id = f.transaction_id
               WHERE f.subscriber_id = $1 ORDER BY f.occurred_at DESC LIMIT $2""",
            subscriber_id,
            limit,
        )
        return [dict(row) for row in rows]


async def _queue(connection: asyncpg.Connection, deliveries: Sequence[Delivery]) -> int:
    new = 0
    known = await erasure.remaining(connection, [each.subscriber_id for each in deliveries])
    for each in deliveries:
        if each.subscriber_id not in known:
            continue
        workflow, leader = each.workflow, None
        if workflow.digest:
            # One at a time for this subscriber and workflow, so that two first ones do not open two digests.
            await connection.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"{workflow.name}:{each.subscriber_id}"
            )
            leader = await connection.fetchval(_OPEN_DIGEST, each.subscriber_id, workflow.name)
        done = await connection.execute(
            _QUEUE,
            each.transaction_id,
            workflow.name,
            each.subscriber_id,
            dict(each.payload),
            workflow.category.priority,
            leader if leader != each.transaction_id else None,
            workflow.digest.total_seconds() if workflow.digest else 0.0,
        )
        new += done == "INSERT 0 1"
    return new
