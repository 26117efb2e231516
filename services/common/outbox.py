"""The outbox: what a transaction wants said is a row of the same transaction, published later by a relay.

A message may be published twice (the relay can die after the confirm and before the mark), never lost. Consumers have
an inbox for that. No order is promised.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import asyncpg
from opentelemetry.trace import SpanKind
from prometheus_client import Gauge

from services.common import logs, loops, telemetry
from services.contracts import Event

log = logs.get(__name__)

OLDEST = Gauge("outbox_oldest_seconds", "How long the oldest message that is not published has waited")
EVENTS, SAGA = "events", "saga"
BATCH = 100
LEASE_SECONDS = 30.0
IDLE_SECONDS, FAULT_SECONDS = 0.1, 1.0
OBSERVED_SECONDS = 15.0
BACKOFF_SECONDS = (1.0, 300.0)


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """A leased row: ``destination`` picks the publisher, ``topic`` is the event's name or the execution's name."""

    id: uuid.UUID
    destination: str
    topic: str
    payload: dict[str, Any]
    occurred_at: str
    traceparent: str | None = None


class Publisher(Protocol):
    """Where a relay delivers. Returning means that the other side has confirmed; anything else must raise."""

    async def publish(self, message: OutboxMessage) -> None:
        """Deliver ``message``, or raise."""


class Outbox:
    """Writes into the outbox within the caller's transaction."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def add(self, destination: str, topic: str, payload: Mapping[str, Any]) -> uuid.UUID:
        """Record a message. It is sent if, and only if, the transaction commits."""
        message_id, trace = uuid.uuid4(), telemetry.traceparent()
        await self._connection.execute(
            "INSERT INTO outbox (id, destination, topic, payload) VALUES ($1, $2, $3, $4)",
            message_id,
            destination,
            topic,
            # A trace travels in the payload and is taken out again by the relay: no column, and no key when it is off.
            {**payload, telemetry.TRACEPARENT: trace} if trace else dict(payload),
        )
        return message_id

    async def event(self, event: Event, **ids: str) -> uuid.UUID:
        """Record an event about ``ids``."""
        return await self.add(EVENTS, event.value, ids)


async def observe(pool: asyncpg.Pool) -> None:
    """Bring the gauge up to date. What is not published is few rows, and has an index."""
    OLDEST.set(
        await pool.fetchval(
            "SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0) FROM outbox WHERE published_at IS NULL"
        )
    )


class Relay:
    """Leases rows, publishes them, and marks those that were confirmed while the lease still held."""

    def __init__(self, pool: asyncpg.Pool, publishers: Mapping[str, Publisher]) -> None:
        self._pool, self._publishers = pool, publishers

    async def run(self, stop: asyncio.Event) -> None:
        """Publish until ``stop``; a fault of the database is waited out, the batch in hand is finished."""
        await loops.every("outbox", self.pass_once, IDLE_SECONDS, stop, rest=FAULT_SECONDS)

    async def pass_once(self) -> int:
        """Publish one batch; returns how many rows were leased."""
        token = uuid.uuid4()
        batch = await self.lease(token)
        results = await asyncio.gather(*(self._publish(message) for message in batch))
        await self.mark(token, [m.id for m, confirmed in zip(batch, results, strict=True) if confirmed])
        return len(batch)

    async def lease(
        self, token: uuid.UUID, *, limit: int = BATCH, seconds: float = LEASE_SECONDS
    ) -> list[OutboxMessage]:
        """Take up to ``limit`` rows that nobody holds; other relays skip them for ``seconds``.

        ``available_at`` moves on with each attempt, so a row that cannot be published comes back ever later.
        """
        rows = await self._pool.fetch(
            """UPDATE outbox SET lease_token = $1, attempts = attempts + 1,
                      available_at = now() + greatest($3, least($5, $4 * power(2, least(attempts, 20)))) * interval '1
                      second' WHERE id IN (SELECT id FROM outbox WHERE published_at IS NULL AND available_at <= now()
                            ORDER BY available_at LIMIT $2 FOR UPDATE SKIP LOCKED)
               RETURNING id, destination, topic, payload, created_at""",
            token,
            limit,
            float(seconds),
            *BACKOFF_SECONDS,
        )
        return [
            OutboxMessage(
                r["id"],
                r["destination"],
                r["topic"],
                payload := dict(r["payload"]),
                r["created_at"].isoformat(),
                payload.pop(telemetry.TRACEPARENT, None),
            )
            for r in rows
        ]

    async def mark(self, token: uuid.UUID, ids: Sequence[uuid.UUID]) -> int:
        """Mark as published what is still leased under ``token``; returns how many. A stale relay marks none."""
        if not ids:
            return 0
        done = await self._pool.execute(
            "UPDATE outbox SET published_at = now(), lease_token = NULL WHERE id = ANY($2) AND lease_token = $1",
            token,
            list(ids),
        )
        return int(done.split()[-1])

    async def _publish(self, message: OutboxMessage) -> bool:
        try:
            with telemetry.span(
                f"publish {message.destination}", SpanKind.PRODUCER, parent=message.traceparent, message=str(message.id)
            ):
                await self._publishers[message.destination].publish(message)
        except Exception as error:  # any fault of a publisher means: not confirmed, try again later
            log.warning("not published", message=str(message.id), topic=message.topic, error=error)
            return False
        return True
