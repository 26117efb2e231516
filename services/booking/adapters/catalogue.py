"""What organisers put on sale, in PostgreSQL: venues, events, capacity pools, seats, ticket types, vouchers."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from services.booking.adapters.terms import PRICE
from services.booking.domain.holds import MAX_QUANTITY

# Rows of one page of the feed.
PAGE = 500
_PUBLIC = "id, organiser_id, venue_id, name, description, starts_at, status, refunds_until, sale_opens_at"


class Catalogue:
    """Reads and writes on one connection, or on a pool where one statement is enough."""

    def __init__(self, database: asyncpg.Pool | asyncpg.Connection) -> None:
        self._db = database

    async def add(self, table: str, values: Mapping[str, Any]) -> uuid.UUID:
        """Write a row of venues, events, pools or vouchers; returns its new id."""
        new_id = uuid.uuid4()
        places = ", ".join(f"${number}" for number in range(1, len(values) + 2))
        await self._db.execute(
            f"INSERT INTO {table} (id, {', '.join(values)}) VALUES ({places})", new_id, *values.values()
        )
        return new_id

    async def add_event(self, organiser_id: str, name: str, starts_at: datetime, **more: Any) -> uuid.UUID:
        """Create an event."""
        return await self.add("events", {"organiser_id": organiser_id, "name": name, "starts_at": starts_at, **more})

    async def add_pool(self, event_id: uuid.UUID, name: str, capacity: int) -> uuid.UUID:
        """Create a capacity pool without numbered seats."""
        return await self.add("pools", {"event_id": event_id, "name": name, "capacity": capacity})

    async def add_seated_pool(self, event_id: uuid.UUID, name: str, seats: Sequence[tuple[str, str, str]]) -> uuid.UUID:
        """Create a pool of numbered seats: (section, line, number) of each. Raises UniqueViolationError for twins."""
        pool_id = await self.add("pools", {"event_id": event_id, "name": name, "capacity": len(seats), "seated": True})
        await self._db.executemany(
            "INSERT INTO seats (id, pool_id, section, line, number) VALUES ($1, $2, $3, $4, $5)",
            [(uuid.uuid4(), pool_id, *seat) for seat in seats],
        )
        return pool_id

    async def add_ticket_type(
        self,
        event_id: uuid.UUID,
        pool_id: uuid.UUID,
        name: str,
        currency: str,
        tiers: Sequence[tuple[datetime | None, int]],
        *,
        window: tuple[datetime | None, datetime | None] = (None, None),
        max_per_buyer: int = MAX_QUANTITY,
    ) -> uuid.UUID:
        """Create a ticket type; ``tiers`` are (until, price in minor units), None for ever; so is a window's None."""
        ticket_type_id = uuid.uuid4()
        await self._db.execute(
            """INSERT INTO ticket_types (id, event_id, pool_id, name, currency, sales_from, sales_until, max_per_buyer)
               VALUES ($1, $2, $3, $4, $5, coalesce($6::timestamptz, '-infinity'),
                       coalesce($7::timestamptz, 'infinity'), $8)""",
            ticket_type_id,
            event_id,
            pool_id,
            name,
            currency,
            *window,
            max_per_buyer,
        )
        await self._db.executemany(
            """INSERT INTO price_tiers (ticket_type_id, until, price)
               VALUES ($1, coalesce($2::timestamptz, 'infinity'), $3)""",
            [(ticket_type_id, until, price) for until, price in tiers],
        )
        await self.changed(event_id)
        return ticket_type_id

    async def changed(self, event_id: uuid.UUID, status: str | None = None) -> None:
        """What the public sees of the event has changed."""
        await self._db.execute(
            "UPDATE events SET change = nextval('event_changes'), status = coalesce($2, status) WHERE id = $1",
            event_id,
            status,
        )

    async def owner(self, table: str, id: uuid.UUID) -> str | None:
        """The organiser of an event or a venue."""
        found: str | None = await self._db.fetchval(f"SELECT organiser_id FROM {table} WHERE id = $1", id)
        return found

    async def event_of_pool(self, pool_id: uuid.UUID) -> uuid.UUID | None:
        """The event that a pool is of."""
        found: uuid.UUID | None = await self._db.fetchval("SELECT event_id FROM pools WHERE id = $1", pool_id)
        return found

    async def event(self, event_id: uuid.UUID) -> dict[str, Any] | None:
        """An event with its ticket types, for display."""
        event = await self._db.fetchrow(f"SELECT {_PUBLIC} FROM events WHERE id = $1", event_id)
        return None if event is None else await self._complete(event)

    async def changes(self, after: int) -> list[dict[str, Any]]:
        """Events that changed after ``after``, oldest change first, a page of them, complete but for drafts."""
        rows = await self._db.fetch(
            f"SELECT {_PUBLIC}, change FROM events WHERE change > $1 AND status <> 'draft' ORDER BY change LIMIT $2",
            after,
            PAGE,
        )
        return [await self._complete(row) for row in rows]

    async def seats(self, pool_id: uuid.UUID) -> list[dict[str, Any]]:
        """The seats of a pool, with whether they are free."""
        rows = await self._db.fetch(
            """SELECT id, section, line, number, hold_id IS NULL AS free FROM seats WHERE pool_id = $1
               ORDER BY section, line, number""",
            pool_id,
        )
        return [dict(row) for row in rows]

    async def _complete(self, event: asyncpg.Record) -> dict[str, Any]:
        types = await self._db.fetch(
            f"""SELECT t.id, t.pool_id, t.name, t.currency, p.seated, p.capacity, t.max_per_buyer,
                      nullif(t.sales_from, '-infinity') AS sales_from, nullif(t.sales_until, 'infinity') AS sales_until,
                      CASE WHEN p.waiting > 0 THEN 0 ELSE p.capacity - p.held - p.sold END AS available, tier.price
               FROM ticket_types t JOIN pools p ON p.id = t.pool_id
               LEFT JOIN LATERAL {PRICE} tier ON true
               WHERE t.event_id = $1 ORDER BY tier.price, t.id""",
            event["id"],
        )
        venue = None
        if event["venue_id"] is not None:
            row = await self._db.fetchrow(
                "SELECT id, name, address, city, country, latitude, longitude FROM venues WHERE id = $1",
                event["venue_id"],
            )
            venue = dict(row)
        return {**event, "venue": venue, "ticket_types": [dict(row) for row in types]}
