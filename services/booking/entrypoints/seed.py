"""`python -m services.booking.entrypoints.seed`: something on sale in an empty catalogue, for a preview.

It writes what an organiser would, through the same code and with the same events. Idempotency: the organiser's event of
that name; whoever comes second finds it. Nothing that exists is changed.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from services.booking.adapters.catalogue import Catalogue
from services.common import database, logs
from services.common.outbox import Outbox
from services.common.settings import DatabaseSettings, load_or_exit
from services.contracts import Event

log = logs.get(__name__)
ORGANISER = "preview"
_ON_SALE = timedelta(days=30)
_PLACE = {"address": "1 Market Square", "city": "Paris", "country": "FR"}
# Minor units.
_PRICE, _CURRENCY = 4200, "eur"


class Demo(BaseModel):
    """An event at a venue, with one ticket type of so many places."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)

    event: str = Field(min_length=1)
    venue: str = Field(min_length=1)
    ticket_type: str = Field(min_length=1)
    capacity: int = Field(ge=1)


class SeedSettings(DatabaseSettings):
    """The database, and what is to be on sale in it, as JSON."""

    seed: Demo


async def seed(pool: asyncpg.Pool, demo: Demo) -> bool:
    """Put ``demo`` on sale; False when it is there already."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(hashtext($1))", f"seed {demo.event}")
        known = "SELECT 1 FROM events WHERE organiser_id = $1 AND name = $2"
        if await connection.fetchval(known, ORGANISER, demo.event):
            return False
        catalogue = Catalogue(connection)
        venue = await catalogue.add("venues", {"organiser_id": ORGANISER, "name": demo.venue, **_PLACE})
        event = await catalogue.add_event(ORGANISER, demo.event, datetime.now(UTC) + _ON_SALE, venue_id=venue)
        pool_id = await catalogue.add_pool(event, demo.ticket_type, demo.capacity)
        await catalogue.add_ticket_type(event, pool_id, demo.ticket_type, _CURRENCY, [(None, _PRICE)])
        await Outbox(connection).event(Event.EVENT_CHANGED, eventId=str(event))
    return True


async def _run(settings: SeedSettings) -> None:
    async with database.pool(settings.database_url.get_secret_value(), size=1) as pool:
        made = await seed(pool, settings.seed)
        log.info("on sale" if made else "on sale already", event_name=settings.seed.event)


def main() -> None:
    """Seed and end."""
    settings = load_or_exit(SeedSettings)
    logs.configure("booking", settings.log_level)
    asyncio.run(_run(settings))


if __name__ == "__main__":
    main()
