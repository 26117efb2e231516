"""The audit tells when a pool's counters are not the truth, and is quiet while they are."""

from __future__ import annotations

import uuid

import asyncpg
import pytest

from services.booking.adapters import audit
from services.booking.adapters.allocator import Allocator
from tests.services.samples import on_sale, wish


async def sold_from(booking: asyncpg.Pool) -> uuid.UUID:
    """A pool of ten places, three of them held."""
    ticket_type = await on_sale(booking, 10)
    await Allocator(booking).take(wish(ticket_type, "buyer", quantity=3))
    found: uuid.UUID = await booking.fetchval("SELECT pool_id FROM ticket_types WHERE id = $1", ticket_type)
    return found


@pytest.mark.parametrize(
    "change", ["UPDATE pools SET held = held - 1", "UPDATE pools SET sold = 4", "UPDATE pools SET waiting = 1"]
)
async def test_a_counter_that_somebody_changed_is_told_of(booking: asyncpg.Pool, change: str) -> None:
    pool = await sold_from(booking)
    await audit.observe(booking)
    assert audit.INCONSISTENT._value.get() == 0
    await booking.execute(change)
    await audit.observe(booking)
    assert audit.INCONSISTENT._value.get() == 1
    assert [each["id"] for each in await audit.inconsistent(booking)] == [pool]


async def test_what_is_long_past_is_no_alarm(booking: asyncpg.Pool) -> None:
    await sold_from(booking)
    await booking.execute("UPDATE pools SET held = 9")
    await booking.execute("UPDATE events SET starts_at = now() - interval '3 days'")
    assert await audit.inconsistent(booking) == []
