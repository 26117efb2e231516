"""The waiting room, in Redis: places of an event's queue, the same whoever asks again.

Who comes before the opening takes part in a draw, so being early or quick is worth nothing; after it, first come, first
served. Redis keeps places and nothing that is sold: while it is away, each process lets a trickle in, and PostgreSQL
refuses an oversell as ever.
"""

from __future__ import annotations

import random
import time
import uuid
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
import redis.asyncio as redis
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from prometheus_client import Counter
from redis.exceptions import RedisError

from services.booking.domain.admission import ADMISSION_SECONDS, Room, admits, token
from services.common import logs

log = logs.get(__name__)

# Seconds: a buyer waits no longer for Redis than that, and settings of a room are read again after that.
_PATIENCE, _REMEMBERED = 0.5, 5.0
# A queue is of no use after its sale.
KEPT = timedelta(days=30)
# What one process admits while Redis is away, as a share of the room's rate.
_TRICKLE = 0.05

# Sales go on without Redis, so nobody would say that it is away, or does not let booking in.
ALONE = Counter("admission_without_cache_total", "Times that somebody joined a waiting room and Redis did not answer")

ROOM = """
    SELECT e.id, e.sale_opens_at, e.admissions_per_second FROM events e
    LEFT JOIN ticket_types t ON t.event_id = e.id AND t.id = $1 WHERE e.id = $1 OR t.id = $1"""


class NotAdmitted(Exception):
    """The event has a waiting room, and the buyer shows no token of his own that is still good."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """The token to show when holds are taken."""

    token: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Queued:
    """A place, counted from 1; None while it cannot be told."""

    position: int | None
    serving: int | None
    retry_after: int


class WaitingRoom:
    """The waiting rooms of all events. ``secret`` is that of the tickets' key: every process has the same.

    Each key begins with ``prefix``.
    """

    def __init__(self, pool: asyncpg.Pool, cache: redis.Redis | None, secret: bytes, prefix: str = "") -> None:
        self._pool, self._redis, self._prefix = pool, cache, prefix
        self._secret = HKDF(SHA256(), 32, salt=None, info=b"waiting-room").derive(secret)
        self._rooms: dict[uuid.UUID, tuple[float, Room | None]] = {}
        self._trickled: defaultdict[uuid.UUID, float] = defaultdict(float)

    async def check(self, ticket_type_id: uuid.UUID, buyer_id: str, shown: str | None) -> None:
        """Raises NotAdmitted unless the event has no room, or ``shown`` is the buyer's token."""
        room = await self.room(ticket_type_id)
        if room is None or (shown and admits(self._secret, room.event_id, buyer_id, shown, datetime.now(UTC))):
            return
        raise NotAdmitted(f"join the waiting room of event {room.event_id} and send its token as `Admission`")

    async def room(self, id: uuid.UUID) -> Room | None:
        """The room of an event or of a ticket type's event, None when it has none; remembered for a few seconds."""
        until, found = self._rooms.get(id, (0.0, None))
        if until > time.monotonic():
            return found
        row = await self._pool.fetchrow(ROOM, id)
        room = Room(*row) if row is not None and row["admissions_per_second"] else None
        if len(self._rooms) > 100_000:
            self._rooms.clear()
        self._rooms[id] = (time.monotonic() + _REMEMBERED, room)
        return room

    async def join(self, room: Room, buyer_id: str) -> Admitted | Queued:
        """A place in the room, or the token once it is the buyer's turn. Idempotency: the buyer.

        Fails slow: without Redis a few are let in each second, and the others are told to come back.
        """
        now = datetime.now(UTC)
        try:
            position = await self._place(room, buyer_id, now)
        except (RedisError, OSError) as error:
            ALONE.inc()
            log.warning("waiting room without Redis", event_id=str(room.event_id), error=type(error).__name__)
            return self._trickle(room, buyer_id, now)
        turn = room.turn(position)
        if turn > now:
            return Queued(position, room.serving(now), room.retry_after(position, now))
        expires_at = turn + timedelta(seconds=ADMISSION_SECONDS)
        if expires_at <= now:
            await self._forget(room, buyer_id)
            return Queued(None, room.serving(now), 1)
        return self._admit(room, buyer_id, expires_at)

    async def _place(self, room: Room, buyer_id: str, now: datetime) -> int:
        if self._redis is None:
            raise RedisError("no Redis is configured")
        key = self._key(room)
        async with self._redis.pipeline() as commands:
            # Before the opening a draw below 1, after it the order of arrival; who waits already keeps his place.
            commands.incr(f"{key}:arrivals")
            commands.expire(f"{key}:arrivals", KEPT)
            arrival, _ = await commands.execute()
            score = random.SystemRandom().random() if now < room.opens_at else float(arrival)
            commands.zadd(key, {buyer_id: score}, nx=True)
            commands.zrank(key, buyer_id)
            commands.expire(key, KEPT)
            _, rank, _ = await commands.execute()
        return int(rank) + 1

    async def _forget(self, room: Room, buyer_id: str) -> None:
        """A turn that was missed: its place stays, so nobody moves up, and the buyer's next one is at the end."""
        if self._redis is not None:
            async with self._redis.pipeline() as commands:
                commands.zadd(self._key(room), {f"missed:{uuid.uuid4()}": 0.0})
                commands.zrem(self._key(room), buyer_id)
                await commands.execute()

    def _key(self, room: Room) -> str:
        return f"{self._prefix}room:{room.event_id}"

    def _trickle(self, room: Room, buyer_id: str, now: datetime) -> Admitted | Queued:
        gap = 1 / (room.per_second * _TRICKLE)
        if now < room.opens_at or self._trickled[room.event_id] > time.monotonic():
            return Queued(None, None, 5)
        self._trickled[room.event_id] = time.monotonic() + gap
        return self._admit(room, buyer_id, now + timedelta(seconds=ADMISSION_SECONDS))

    def _admit(self, room: Room, buyer_id: str, expires_at: datetime) -> Admitted:
        return Admitted(token(self._secret, room.event_id, buyer_id, expires_at), expires_at)


def connect(url: str) -> redis.Redis:
    """A client that gives up quickly: a waiting room that hangs is worse than one that trickles."""
    client: redis.Redis = redis.Redis.from_url(
        url, socket_timeout=_PATIENCE, socket_connect_timeout=_PATIENCE, decode_responses=True
    )
    return client
