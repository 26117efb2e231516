"""Webhook events: recorded when they arrive, followed up by a loop, each until it succeeds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
from prometheus_client import Gauge
from pydantic import BaseModel

from services.contracts import Id
from services.payment.ports import Processor

UNDELIVERED = Gauge("payment_webhooks_undelivered", "Events that the provider could not deliver, nor anybody replay")
_LOOKED_BACK = timedelta(days=1)

Follow = Callable[[str, Sequence[str]], Awaitable[None]]


class About(BaseModel):
    """What is read of the object of an event."""

    object: str = ""
    id: Id | None = None
    payment_intent: Id | None = None

    def subject(self) -> tuple[str | None, str | None]:
        """The intent that the object is about, else the transfer or payout that it is."""
        if self.object in ("transfer", "payout"):
            return None, self.id
        return (self.id if self.object == "payment_intent" else self.payment_intent), None


class Data(BaseModel):
    """The part of an event that holds its object."""

    object: About


class StripeEvent(BaseModel):
    """What is read of an event of Stripe."""

    id: Id
    type: Id
    data: Data


async def record(
    pool: asyncpg.Pool, event_id: str, kind: str, intent_id: str | None, object_id: str | None = None
) -> bool:
    """Insert the event's id; False when it was there already."""
    done = await pool.execute(
        "INSERT INTO webhook_events (id, type, intent_id, object_id) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        event_id,
        kind,
        intent_id,
        object_id,
    )
    return bool(done == "INSERT 0 1")


async def follow_up(pool: asyncpg.Pool, follow: Follow) -> int:
    """Follow the objects of the events that wait, one look-up for each; returns how many events were settled.

    One that fails does not keep the others waiting, and goes behind them; raises what the first of them raised.
    """
    rows = await pool.fetch(
        """SELECT coalesce(intent_id, object_id) AS subject, array_agg(id) AS ids, array_agg(DISTINCT type) AS kinds
           FROM webhook_events WHERE processed_at IS NULL AND coalesce(intent_id, object_id) IS NOT NULL
           GROUP BY 1 ORDER BY max(attempts), min(received_at) LIMIT 50"""
    )
    settled, failed = 0, list[Exception]()
    for row in rows:
        try:
            await follow(row["subject"], row["kinds"])
        except Exception as error:  # Stripe or the database is away, or this object is at fault: it waits
            failed.append(error)
            await pool.execute("UPDATE webhook_events SET attempts = attempts + 1 WHERE id = ANY($1)", row["ids"])
            continue
        await pool.execute("UPDATE webhook_events SET processed_at = now() WHERE id = ANY($1)", row["ids"])
        settled += len(row["ids"])
    if failed:
        raise failed[0]
    return settled


async def count_undelivered(pool: asyncpg.Pool, processor: Processor) -> None:
    """Bring the gauge up to date. What was replayed is recorded here, though the provider still calls it failed."""
    failed = await processor.undelivered(datetime.now(UTC) - _LOOKED_BACK)
    UNDELIVERED.set(
        await pool.fetchval(
            "SELECT count(*) FROM unnest($1::text[]) AS failed (id) "
            "WHERE NOT EXISTS (SELECT FROM webhook_events w WHERE w.id = failed.id)",
            failed,
        )
    )
