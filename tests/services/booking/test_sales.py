"""A sale is told of in time, when its organiser expects a rush."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from services.booking.adapters import sales
from tests.services.samples import on_sale


@pytest.mark.parametrize(
    ("hours", "room", "soon"),
    [
        (2, {"admissions_per_second": 50}, 1),
        (4, {"admissions_per_second": 50}, 0),
        (-1, {"admissions_per_second": 50}, 0),
        (2, {}, 0),
    ],
    ids=["soon", "not yet", "open already", "without a waiting room"],
)
async def test_sales_with_a_waiting_room_that_open_soon_are_counted(
    booking: asyncpg.Pool, hours: int, room: dict[str, Any], soon: int
) -> None:
    await on_sale(booking, 5, sale_opens_at=datetime.now(UTC) + timedelta(hours=hours), **room)
    await sales.observe(booking)
    assert sales.SOON._value.get() == soon
