"""Token buckets that all processes share.

They are rows of PostgreSQL: a token is taken once for a message, beside a handful of statements that the message costs
anyway, and the service needs no Redis, whose loss would have to mean either no limit or no messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import asyncpg

from services.notification.workflows.model import Channel

# A bucket holds what a second brings, and one token at least.
_TAKE = """
INSERT INTO rate_buckets AS b (name, tokens, updated_at) VALUES ($1, greatest(1, $2) - 1, clock_timestamp())
ON CONFLICT (name) DO UPDATE SET updated_at = clock_timestamp(), tokens =
  least(greatest(1, $2), b.tokens + $2 * extract(epoch FROM clock_timestamp() - b.updated_at)) - 1
WHERE least(greatest(1, $2), b.tokens + $2 * extract(epoch FROM clock_timestamp() - b.updated_at)) >= 1
"""


class _Empty(Exception):
    """A bucket has no token: what was taken from the others goes back with the transaction."""


class PostgresLimits:
    """The Limits port; ``per_second`` names the channels that have a limit."""

    def __init__(self, pool: asyncpg.Pool, per_second: Mapping[Channel, float]) -> None:
        self._pool, self._per_second = pool, per_second

    async def take(self, channels: Iterable[Channel]) -> bool:
        """Take a token from the bucket of each of ``channels``, or none at all."""
        # Always in the same order, so that two processes cannot wait for each other.
        limited = sorted(set(channels) & self._per_second.keys())
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                for channel in limited:
                    if await connection.execute(_TAKE, channel.value, self._per_second[channel]) != "INSERT 0 1":
                        raise _Empty
        except _Empty:
            return False
        return True
