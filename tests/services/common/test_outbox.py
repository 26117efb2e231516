"""The outbox: said if and only if committed, confirmed before marked, never lost by a crash."""

from __future__ import annotations

import asyncio
import uuid

import asyncpg
import pytest

from services.common import database, inbox, outbox
from services.common.outbox import EVENTS, Outbox, OutboxMessage, Relay
from services.contracts import Event
from tests.services.conftest import eventually
from tests.support.databases import Databases


class Recorder:
    """A publisher that confirms, except for what it is told to refuse."""

    def __init__(self, *, refuse: int = 0) -> None:
        self.published: list[uuid.UUID] = []
        self._refuse = refuse

    async def publish(self, message: OutboxMessage) -> None:
        if self._refuse:
            self._refuse -= 1
            raise ConnectionError("no confirm")
        self.published.append(message.id)


async def say(pool: asyncpg.Pool, times: int = 1) -> list[uuid.UUID]:
    async with pool.acquire() as connection, connection.transaction():
        outbox = Outbox(connection)
        return [await outbox.event(Event.ORDER_PLACED, orderId=f"order-{n}") for n in range(times)]


async def test_what_was_rolled_back_is_never_said(booking: asyncpg.Pool) -> None:
    async def fail() -> None:
        async with booking.acquire() as connection, connection.transaction():
            await Outbox(connection).event(Event.ORDER_PLACED, orderId="order-1")
            raise RuntimeError("changed my mind")

    with pytest.raises(RuntimeError):
        await fail()
    assert await Relay(booking, {EVENTS: Recorder()}).pass_once() == 0


async def test_several_relays_publish_each_message_once_while_none_fails(booking: asyncpg.Pool) -> None:
    said, recorder = await say(booking, 250), Recorder()
    await asyncio.gather(*(Relay(booking, {EVENTS: recorder}).pass_once() for _ in range(5)))
    assert sorted(recorder.published) == sorted(said)
    assert await booking.fetchval("SELECT count(*) FROM outbox WHERE published_at IS NULL") == 0


async def test_what_is_not_confirmed_is_published_later(booking: asyncpg.Pool) -> None:
    [said], recorder = await say(booking), Recorder(refuse=1)
    relay = Relay(booking, {EVENTS: recorder})
    await relay.pass_once()
    assert (await relay.pass_once(), recorder.published) == (0, []), "it backs off"
    await booking.execute("UPDATE outbox SET available_at = now()")
    await relay.pass_once()
    assert recorder.published == [said]


async def test_a_relay_killed_after_the_confirm_publishes_twice_and_the_inbox_acts_once(booking: asyncpg.Pool) -> None:
    [said], received, effects = await say(booking), [], 0
    killed = Relay(booking, {})
    received += [m.id for m in await killed.lease(uuid.uuid4())]  # published and confirmed, then killed: never marked
    await booking.execute("UPDATE outbox SET available_at = now()")
    recorder = Recorder()
    await Relay(booking, {EVENTS: recorder}).pass_once()
    received += recorder.published
    assert received == [said, said]
    for message_id in received:
        async with booking.acquire() as connection, connection.transaction():
            effects += await inbox.first_time(connection, "consumer", str(message_id))
    assert effects == 1


async def test_a_stale_lease_cannot_mark(booking: asyncpg.Pool) -> None:
    [said], stale, fresh = await say(booking), uuid.uuid4(), uuid.uuid4()
    relay = Relay(booking, {})
    await relay.lease(stale)
    await booking.execute("UPDATE outbox SET available_at = now()")
    await relay.lease(fresh)
    assert await relay.mark(stale, [said]) == 0
    assert await relay.mark(fresh, [said]) == 1


async def test_a_relay_outlives_its_database(booking: asyncpg.Pool, databases: Databases) -> None:
    recorder, stop = Recorder(), asyncio.Event()
    async with database.pool(databases.owner("booking"), size=1) as owner, owner.acquire() as held:
        blocking = held.transaction()
        await blocking.start()
        await held.execute("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE")
        running = asyncio.create_task(Relay(booking, {EVENTS: recorder}).run(stop))

        async def killed() -> bool:
            """The connection is lost in the middle of the relay's statement, not between two of them."""
            killing = """
                SELECT bool_and(pg_terminate_backend(pid)) FROM pg_stat_activity
                WHERE datname = current_database() AND query LIKE 'UPDATE outbox%' AND wait_event_type = 'Lock'"""
            return bool(await booking.fetchval(killing))

        await eventually(killed)
        await blocking.rollback()
    [said] = await say(booking)

    async def published() -> bool:
        return recorder.published == [said]

    await eventually(published)
    stop.set()
    await running


async def test_how_long_the_oldest_message_waits_is_counted_until_it_is_published(booking: asyncpg.Pool) -> None:
    await outbox.observe(booking)
    assert outbox.OLDEST._value.get() == 0
    await say(booking, 2)
    await booking.execute(
        "UPDATE outbox SET created_at = now() - interval '90 seconds' WHERE id = (SELECT id FROM outbox LIMIT 1)"
    )
    await outbox.observe(booking)
    assert 90 <= outbox.OLDEST._value.get() < 120
    await Relay(booking, {EVENTS: Recorder()}).pass_once()
    await outbox.observe(booking)
    assert outbox.OLDEST._value.get() == 0
