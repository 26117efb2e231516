"""Webhook events: recorded when they arrive, followed up by a loop, each until it succeeds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg

from services.common import logs

log = logs.get(__name__)

EVERY_SECONDS = 1.0
PAUSE_SECONDS = 10.0


async def record(pool: asyncpg.Pool, event_id: str, kind: str, intent_id: str | None) -> bool:
    """Insert the event's id; False when it was there already."""
    done = await pool.execute(
        "INSERT INTO webhook_events (id, type, intent_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        event_id,
        kind,
        intent_id,
    )
    return bool(done == "INSERT 0 1")


async def follow_up(pool: asyncpg.Pool, reconcile: Callable[[str], Awaitable[None]]) -> int:
    """Reconcile the intents of the events that wait, one look-up per intent; returns how many events were settled."""
    rows = await pool.fetch(
        """SELECT intent_id, array_agg(id) AS ids FROM webhook_events
           WHERE processed_at IS NULL AND intent_id IS NOT NULL GROUP BY intent_id ORDER BY min(received_at) LIMIT 50"""
    )
    settled = 0
    for row in rows:
        await reconcile(row["intent_id"])
        await pool.execute("UPDATE webhook_events SET processed_at = now() WHERE id = ANY($1)", row["ids"])
        settled += len(row["ids"])
    return settled


async def following(pool: asyncpg.Pool, reconcile: Callable[[str], Awaitable[None]], stop: asyncio.Event) -> None:
    """Follow up until ``stop``; what cannot be settled now waits."""
    while not stop.is_set():
        pause = EVERY_SECONDS
        try:
            await follow_up(pool, reconcile)
        except Exception as error:  # Stripe or the database is away: the events stay where they are
            log.warning("webhooks wait", error=repr(error))
            pause = PAUSE_SECONDS
        try:
            await asyncio.wait_for(stop.wait(), pause)
        except TimeoutError:
            continue
