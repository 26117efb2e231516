"""The queue of deliveries in PostgreSQL: rows are leased, and every change asks for the lease's token."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Final

import asyncpg
from prometheus_client import Gauge

from services.notification import domain
from services.notification.domain import Report, Status
from services.notification.ports import Leased
from services.notification.workflows.model import Channel

# Longer than an attempt may take: three seconds of retries, ten of the last one.
LEASE_SECONDS = 60.0

OLDEST_DUE = Gauge("notification_oldest_due_seconds", "How long the delivery that is due the longest has waited")
OBSERVED_SECONDS: Final = 15.0

# Members of a digest follow the delivery that leads it, and are never leased themselves.
_LEASE = """
UPDATE deliveries AS d SET status = 'sending', attempts = attempts + 1, lease_token = $1,
       lease_until = now() + $3 * interval '1 second'
WHERE transaction_id IN (
  SELECT transaction_id FROM deliveries
  WHERE digest_id IS NULL AND due_at <= now()
    AND (status = 'pending' OR (status = 'sending' AND lease_until < now()))
  ORDER BY priority, due_at LIMIT $2 FOR UPDATE SKIP LOCKED)
RETURNING transaction_id, workflow, subscriber_id, payload, attempts, priority, due_at
"""
_OF_LEASE = "(transaction_id = $1 OR digest_id = $1) AND EXISTS (SELECT FROM held)"
_HELD = """WITH held AS MATERIALIZED (
  SELECT FROM deliveries WHERE transaction_id = $1 AND lease_token = $2 AND status = 'sending' FOR UPDATE)
"""


class PostgresQueue:
    """The Queue port."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def observe(self) -> None:
        """Bring the gauge up to date."""
        OLDEST_DUE.set(
            await self._pool.fetchval(
                """SELECT greatest(0, coalesce(extract(epoch FROM now() - min(due_at)), 0)) FROM deliveries
                   WHERE digest_id IS NULL AND status IN ('pending', 'sending')"""
            )
        )

    async def lease(self, limit: int) -> list[Leased]:
        """Lease what is due, and gather what the digests among it hold."""
        token = uuid.uuid4()
        rows = await self._pool.fetch(_LEASE, token, limit, LEASE_SECONDS)
        if not rows:
            return []
        members = await self._pool.fetch(
            "SELECT digest_id, payload FROM deliveries WHERE digest_id = ANY($1) ORDER BY created_at, transaction_id",
            [row["transaction_id"] for row in rows],
        )
        gathered: dict[str, list[Mapping[str, str]]] = {row["transaction_id"]: [row["payload"]] for row in rows}
        for member in members:
            gathered[member["digest_id"]].append(member["payload"])
        return [
            Leased(
                row["transaction_id"],
                row["workflow"],
                row["subscriber_id"],
                gathered[row["transaction_id"]],
                row["attempts"],
                token,
            )
            for row in sorted(rows, key=lambda row: (row["priority"], row["due_at"]))
        ]

    async def sent(self, leased: Leased, channels: Sequence[Channel]) -> bool:
        """Mark it and its digest as sent, or as what was reported meanwhile."""
        async with self._pool.acquire() as connection, connection.transaction():
            held = await self._change(
                connection,
                leased,
                "status = 'sent', sent_at = now(), channels = $3, reason = NULL",
                [channel.value for channel in channels],
            )
            if held:
                await settle(connection, leased.transaction_id)
            return held

    async def later(self, leased: Leased, seconds: float, reason: str, *, tried: bool) -> bool:
        """Give it back for ``seconds``."""
        return await self._change(
            self._pool,
            leased,
            """status = 'pending', reason = $3, attempts = attempts - $5::integer,
               due_at = now() + $4 * interval '1 second'""",
            reason,
            float(seconds),
            int(not tried),
        )

    async def close(self, leased: Leased, status: Status, reason: str) -> bool:
        """End it, and its digest with it."""
        return await self._change(
            self._pool, leased, "status = $3, reason = $4, decided_at = now()", status.value, reason
        )

    async def _change(
        self, connection: asyncpg.Pool | asyncpg.Connection, leased: Leased, change: str, *values: object
    ) -> bool:
        done = await connection.execute(
            f"{_HELD} UPDATE deliveries SET {change}, lease_token = NULL, lease_until = NULL WHERE {_OF_LEASE}",
            leased.transaction_id,
            leased.token,
            *values,
        )
        return bool(done != "UPDATE 0")


async def settle(connection: asyncpg.Connection, transaction_id: str) -> None:
    """Bring a delivery, and what its digest gathered, to what providers have reported; the caller's transaction."""
    row = await connection.fetchrow(
        "SELECT status, channels FROM deliveries WHERE transaction_id = $1 FOR UPDATE", transaction_id
    )
    reports = await connection.fetch("SELECT channel, report FROM reports WHERE transaction_id = $1", transaction_id)
    if row is None or not reports or row["status"] not in domain.REPORTABLE:
        return
    status = domain.reported(
        map(Channel, row["channels"]), {Channel(r["channel"]): Report(r["report"]) for r in reports}
    )
    await connection.execute(
        """UPDATE deliveries SET status = $2, reason = NULL, decided_at = now(), sent_at = coalesce(sent_at, now())
           WHERE (transaction_id = $1 OR digest_id = $1) AND status = ANY($3)""",
        transaction_id,
        status.value,
        [each.value for each in domain.REPORTABLE],
    )
