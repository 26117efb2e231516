"""The door, in PostgreSQL: a ticket opens it once, whichever door and however many at once."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

# Tickets of one page of the offline list.
PAGE = 5_000

# The outcome is that of the ticket's state before; the update waits for whoever has the row.
USE = """
    WITH found AS (SELECT id, status, used_at FROM tickets WHERE id = $1 AND event_id = $2 FOR UPDATE),
         used AS (UPDATE tickets t SET status = 'used', used_at = $3 FROM found
                  WHERE t.id = found.id AND found.status = 'valid'),
         noted AS (INSERT INTO check_ins (ticket_id, at, device, checked_by, outcome)
                   SELECT id, $3, $4, $5, CASE status WHEN 'valid' THEN 'accepted' ELSE status END FROM found
                   ON CONFLICT DO NOTHING)
    SELECT status, used_at FROM found"""
# What a device says again gets the answer that it got before.
BEFORE = "SELECT outcome FROM check_ins WHERE ticket_id = $1 AND device = $2 AND at = $3"


@dataclass(frozen=True, slots=True)
class CheckIn:
    """A code that was read: which ticket, when (the device's clock), and by which device."""

    ticket_id: uuid.UUID
    at: datetime
    device: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """``accepted`` opens the door. ``used_at`` is when the ticket was used before."""

    accepted: bool
    reason: str | None = None
    used_at: datetime | None = None


async def check_in(pool: asyncpg.Pool, event_id: uuid.UUID, read: CheckIn, checked_by: str) -> Outcome:
    """Use a ticket up, if it is valid and of the event. Idempotency: device and time of the reading."""
    async with pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(USE, read.ticket_id, event_id, read.at, read.device, checked_by)
        if row is None:
            return Outcome(False, "not a ticket of this event")
        before = await connection.fetchval(BEFORE, read.ticket_id, read.device, read.at)
    if before == "accepted":
        return Outcome(True)
    return Outcome(False, row["status"], row["used_at"])


async def offline_list(pool: asyncpg.Pool, event_id: uuid.UUID, after: uuid.UUID | None) -> Sequence[dict[str, Any]]:
    """The tickets that open doors and those that have, by id, a page after ``after``: for doors without a network."""
    rows = await pool.fetch(
        """SELECT id, status, used_at FROM tickets
           WHERE event_id = $1 AND status IN ('valid', 'used') AND ($2::uuid IS NULL OR id > $2)
           ORDER BY id LIMIT $3""",
        event_id,
        after,
        PAGE,
    )
    return [dict(row) for row in rows]


async def ticket(pool: asyncpg.Pool, ticket_id: uuid.UUID) -> dict[str, Any] | None:
    """A ticket, with the organiser who may check it."""
    row = await pool.fetchrow(
        """SELECT t.id, t.status, t.event_id, t.order_id, e.organiser_id
           FROM tickets t JOIN events e ON e.id = t.event_id WHERE t.id = $1""",
        ticket_id,
    )
    return None if row is None else dict(row)
