"""The sweeper: holds past their expiry give their capacity and their seats back."""

from __future__ import annotations

import asyncpg

from services.common import logs

log = logs.get(__name__)

EVERY_SECONDS = 2.0
BATCH = 500

# One sweeper at a time (the lock ends with the transaction): two could take the rows of pools in opposite order.
LOCK = "SELECT pg_try_advisory_xact_lock(7041777)"
SWEEP = """
    WITH expired AS (SELECT id FROM holds WHERE status = 'active' AND expires_at <= now()
                     ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED),
         freed AS (UPDATE holds SET status = 'expired' FROM expired WHERE holds.id = expired.id
                   RETURNING holds.id, pool_id, quantity),
         risen AS (UPDATE seats SET hold_id = NULL FROM freed WHERE seats.hold_id = freed.id),
         sums AS (SELECT pool_id, sum(quantity) AS quantity FROM freed GROUP BY pool_id),
         given AS (UPDATE pools p SET held = held - sums.quantity FROM sums WHERE p.id = sums.pool_id)
    SELECT count(*) FROM freed"""


async def sweep(pool: asyncpg.Pool) -> int:
    """Free up to BATCH expired holds; returns how many. 0 also while another process sweeps."""
    async with pool.acquire() as connection, connection.transaction():
        if not await connection.fetchval(LOCK):
            return 0
        freed: int = await connection.fetchval(SWEEP, BATCH)
    if freed:
        log.info("holds expired", count=freed)
    return freed
