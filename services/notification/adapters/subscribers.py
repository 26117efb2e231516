"""Subscribers' settings in PostgreSQL."""

from __future__ import annotations

import asyncpg

from services.common import erasure
from services.notification.preferences import Locale, Preferences
from services.notification.quiet_hours import QuietHours
from services.notification.workflows.model import Category, Channel


class PostgresSubscribers:
    """The Subscribers port."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def preferences(self, subscriber_id: str) -> Preferences:
        """The settings of a subscriber, or the defaults."""
        row = await self._pool.fetchrow(
            """SELECT locale, time_zone, quiet_start, quiet_end,
                      (SELECT jsonb_agg(jsonb_build_array(category, channel, wanted)) FROM choices
                       WHERE subscriber_id = $1) AS choices
               FROM subscribers WHERE subscriber_id = $1""",
            subscriber_id,
        )
        if row is None:
            return Preferences()
        return Preferences(
            locale=Locale(row["locale"]),
            time_zone=row["time_zone"],
            quiet_hours=QuietHours(row["quiet_start"], row["quiet_end"]) if row["quiet_start"] else None,
            choices={
                (Category(category), Channel(channel)): wanted for category, channel, wanted in row["choices"] or ()
            },
        )

    async def save(self, subscriber_id: str, preferences: Preferences) -> None:
        """Replace the settings of a subscriber."""
        quiet = preferences.quiet_hours
        async with self._pool.acquire() as connection, connection.transaction():
            await erasure.require(connection, subscriber_id)
            await connection.execute(
                """INSERT INTO subscribers (subscriber_id, locale, time_zone, quiet_start, quiet_end)
                   VALUES ($1, $2, $3, $4, $5)
                   ON CONFLICT (subscriber_id) DO UPDATE SET locale = EXCLUDED.locale, time_zone = EXCLUDED.time_zone,
                     quiet_start = EXCLUDED.quiet_start, quiet_end = EXCLUDED.quiet_end, updated_at = now()""",
                subscriber_id,
                preferences.locale.value,
                preferences.time_zone,
                quiet.start if quiet else None,
                quiet.end if quiet else None,
            )
            await connection.execute("DELETE FROM choices WHERE subscriber_id = $1", subscriber_id)
            await connection.executemany(
                "INSERT INTO choices (subscriber_id, category, channel, wanted) VALUES ($1, $2, $3, $4)",
                [
                    (subscriber_id, category.value, channel.value, wanted)
                    for (category, channel), wanted in preferences.choices.items()
                ],
            )
