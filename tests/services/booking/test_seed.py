"""What a preview has on sale: made once, through the same code as an organiser's, and left alone afterwards."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from pydantic import ValidationError

from services.booking.entrypoints.seed import ORGANISER, Demo, seed
from tests.services.booking.conftest import People

DEMO = Demo.model_validate({"event": "An evening", "venue": "Town hall", "ticketType": "Stalls", "capacity": 3})


async def test_several_who_seed_at_once_make_it_once_and_it_can_be_bought(
    booking: asyncpg.Pool, person: People
) -> None:
    assert sorted(await asyncio.gather(*(seed(booking, DEMO) for _ in range(4)))) == [False, False, False, True]
    ticket_type = await booking.fetchval("SELECT id FROM ticket_types")
    held = await person("somebody").post("/holds", {"ticketTypeId": str(ticket_type), "quantity": 3})
    assert held.status_code == 201, held.text
    assert await booking.fetchval("SELECT count(*) FROM outbox WHERE topic = 'event.changed'") == 1


async def test_what_somebody_changed_since_stays(booking: asyncpg.Pool) -> None:
    await seed(booking, DEMO)
    await booking.execute("UPDATE pools SET capacity = 1")
    assert await seed(booking, DEMO.model_copy(update={"capacity": 100})) is False
    assert await booking.fetchval("SELECT capacity FROM pools") == 1
    assert await booking.fetchval("SELECT count(*) FROM events WHERE organiser_id = $1", ORGANISER) == 1


@pytest.mark.parametrize("wrong", [{"capacity": 0}, {"event": ""}, {"price": 1}])
def test_a_mistake_in_what_is_to_be_on_sale_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Demo.model_validate({"event": "e", "venue": "v", "ticketType": "t", "capacity": 1, **wrong})
