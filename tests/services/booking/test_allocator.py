"""Holds are never oversold, whoever asks, however often, from however many processes."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from datetime import datetime

import asyncpg
import pytest

from services.booking.adapters import allocator, sweeper
from services.booking.adapters.allocator import Allocator
from services.booking.adapters.audit import inconsistent
from services.booking.domain.holds import KeyReused, Overloaded, SoldOut, UnknownTicketType
from services.common import database
from tests.services.samples import on_sale, wish
from tests.support.databases import Databases

# The reading of a pool that believes in endless capacity.
BLIND = allocator.LOCK.replace("capacity - held - sold", "1000000")


async def rush(pools: list[asyncpg.Pool], ticket_type: uuid.UUID, buyers: int, *, quantity: int = 1) -> Counter[str]:
    """Every buyer at once, spread over one allocator per pool, as over processes."""
    allocators = [Allocator(pool) for pool in pools]
    results = await asyncio.gather(
        *(
            allocators[n % len(pools)].take(wish(ticket_type, f"buyer-{n}", quantity=1 + n % quantity))
            for n in range(buyers)
        ),
        return_exceptions=True,
    )
    return Counter(type(result).__name__ for result in results)


async def test_two_thousand_buyers_of_five_hundred_seats_get_exactly_five_hundred(booking: asyncpg.Pool) -> None:
    ticket_type = await on_sale(booking, 500)
    assert await rush([booking], ticket_type, 2_000) == {"datetime": 500, "SoldOut": 1_500}
    assert await inconsistent(booking) == []


async def test_processes_that_take_from_the_same_ticket_type_never_oversell(
    booking: asyncpg.Pool, databases: Databases
) -> None:
    ticket_type = await on_sale(booking, 100)
    async with (
        database.pool(databases.service("booking")) as second,
        database.pool(databases.service("booking")) as third,
    ):
        results = await rush([booking, second, third], ticket_type, 300, quantity=3)
    taken = await booking.fetchval("SELECT sum(quantity) FROM holds")
    assert results["SoldOut"] + results["datetime"] == 300
    assert 98 <= taken <= 100, "what is left is smaller than the largest wish"
    assert await inconsistent(booking) == []


async def test_an_oversell_is_detected_once_the_guards_are_removed(
    booking: asyncpg.Pool, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket_type = await on_sale(booking, 50)
    owner = await asyncpg.connect(**database.arguments(databases.owner("booking")))
    await owner.execute("ALTER TABLE pools DROP CONSTRAINT never_oversold")
    await owner.close()
    monkeypatch.setattr(allocator, "LOCK", BLIND)
    await rush([booking], ticket_type, 200)
    assert len(await inconsistent(booking)) == 1


async def test_the_constraint_alone_stops_an_oversell_when_the_reading_is_wrong(
    booking: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket_type = await on_sale(booking, 50)
    monkeypatch.setattr(allocator, "LOCK", BLIND)
    assert await rush([booking], ticket_type, 200) == {"datetime": 50, "SoldOut": 150}
    assert await inconsistent(booking) == []


async def test_the_same_request_fifty_times_in_parallel_is_one_hold(booking: asyncpg.Pool) -> None:
    ticket_type = await on_sale(booking, 10)
    allocators = [Allocator(booking) for _ in range(5)]
    expiries = await asyncio.gather(
        *(allocators[n % 5].take(wish(ticket_type, "buyer", quantity=2)) for n in range(50))
    )
    assert len(set(expiries)) == 1
    assert await booking.fetchval("SELECT held FROM pools") == 2


async def test_a_repeated_request_gets_its_hold_even_when_all_is_sold(booking: asyncpg.Pool) -> None:
    ticket_type, hold = await on_sale(booking, 1), Allocator(booking)
    first = await hold.take(wish(ticket_type, "buyer"))
    assert await hold.take(wish(ticket_type, "buyer")) == first
    with pytest.raises(SoldOut):
        await hold.take(wish(ticket_type, "another"))


async def test_a_smaller_wish_is_granted_beside_one_that_does_not_fit(booking: asyncpg.Pool) -> None:
    ticket_type, hold = await on_sale(booking, 3), Allocator(booking)
    results = await asyncio.gather(
        hold.take(wish(ticket_type, "large", quantity=5)), hold.take(wish(ticket_type, "small")), return_exceptions=True
    )
    assert [type(result).__name__ for result in results] == ["SoldOut", "datetime"]


async def test_a_key_used_for_another_quantity_is_refused(booking: asyncpg.Pool) -> None:
    ticket_type, hold = await on_sale(booking, 10), Allocator(booking)
    await hold.take(wish(ticket_type, "buyer", quantity=1))
    with pytest.raises(KeyReused):
        await hold.take(wish(ticket_type, "buyer", quantity=2))


async def test_an_unknown_ticket_type_is_said_to_be_unknown(booking: asyncpg.Pool) -> None:
    with pytest.raises(UnknownTicketType):
        await Allocator(booking).take(wish(uuid.uuid4(), "buyer"))


async def test_a_queue_that_is_too_long_turns_buyers_away(
    booking: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allocator, "LONGEST_QUEUE", 5)
    ticket_type = await on_sale(booking, 100)
    hold = Allocator(booking)
    await hold.take(wish(ticket_type, "first"))
    results = await asyncio.gather(
        *(hold.take(wish(ticket_type, f"buyer-{n}")) for n in range(20)), return_exceptions=True
    )
    assert Counter(type(result) for result in results) == {datetime: 5, Overloaded: 15}


async def test_a_hold_past_its_expiry_frees_the_capacity(booking: asyncpg.Pool) -> None:
    ticket_type = await on_sale(booking, 1)
    await Allocator(booking, hold_seconds=-1).take(wish(ticket_type, "slow"))
    with pytest.raises(SoldOut):
        await Allocator(booking).take(wish(ticket_type, "waiting"))
    assert sum(await asyncio.gather(*(sweeper.sweep(booking) for _ in range(5)))) == 1
    await Allocator(booking).take(wish(ticket_type, "waiting"))
    assert await inconsistent(booking) == []
