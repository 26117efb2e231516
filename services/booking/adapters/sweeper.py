"""The sweeper: holds past their expiry give their capacity back."""

from __future__ import annotations

import asyncio

import asyncpg

from services.common import logs

log = logs.get(__name__)

EVERY_SECONDS = 2.0
BATCH = 500

# One sweeper at a time (the lock ends with the transaction): two could take the rows of ticket types in opposite order.
LOCK = "SELECT pg_try_advisory_xact_lock(7041777)"
SWEEP = """
    WITH expired AS (SELECT id FROM holds WHERE status = 'active' AND expires_at <= now()
                     ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED),
         freed AS (UPDATE holds SET status = 'expired' FROM expired WHERE holds.id = expired.id
                   RETURNING ticket_type_id, quantity),
         sums AS (SELECT ticket_type_id, sum(quantity) AS quantity FROM freed GROUP BY ticket_type_id),
         given AS (UPDATE ticket_types t SET held = held - sums.quantity FROM sums WHERE t.id = sums.ticket_type_id)
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


async def sweeping(pool: asyncpg.Pool, stop: asyncio.Event) -> None:
    """Sweep until ``stop``; a fault of the database is waited out."""
    while not stop.is_set():
        try:
            full = await sweep(pool) == BATCH
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("cannot sweep", error=repr(error))
            full = False
        if not full:
            try:
                await asyncio.wait_for(stop.wait(), EVERY_SECONDS)
            except TimeoutError:
                continue
