"""Who may do what at booking's API: every cell of its table in docs/api.md, each asked about things of its own."""

from __future__ import annotations

from collections.abc import Callable

import asyncpg
import httpx
import pytest

from scripts.local.issuer import Issuer
from services.booking.ticket_codes import Signer
from tests.services.authorisation import BUYER, Row, ask, table, tokens
from tests.services.booking import world
from tests.services.booking.world import World

TABLE = table("booking")
_EVENT = {"name": "Concert", "startsAt": "2030-05-01T20:00:00+02:00"}
_VENUE = {"name": "Hall", "address": "Main street 1", "city": "Paris", "country": "FR"}
_TYPE = {"name": "Standing", "currency": "eur", "price": 2_500, "capacity": 5}

# What an operation is asked with, where it is asked with more than a path.
BODIES: dict[str, Callable[[World], object]] = {
    "POST /venues": lambda _: _VENUE,
    "POST /events": lambda it: {**_EVENT, "venueId": str(it.venue)},
    "POST /events/{event_id}/pools": lambda _: {"name": "Balcony", "capacity": 5},
    "POST /events/{event_id}/ticket-types": lambda _: _TYPE,
    "POST /events/{event_id}/vouchers": lambda _: {"code": "NEW-CODE", "percent": 5, "maxUses": 1},
    "POST /holds": lambda it: {"ticketTypeId": str(it.ticket_type), "quantity": 1},
    "POST /checkout": lambda it: {"holdId": str(it.hold), "paymentMethod": "pm_card_visa"},
    "POST /waiting-list": lambda it: {"ticketTypeId": str(it.sold_out_type), "quantity": 1},
    "POST /orders/{order_id}/refunds": lambda _: {},
    "POST /transfers": lambda it: {"secret": it.secret},
    "POST /tickets/verify": lambda it: {"code": it.code},
    "POST /events/{event_id}/check-ins": lambda it: {
        "readings": [{"code": it.code, "at": "2030-05-01T20:00:00Z", "device": "door-1"}]
    },
}


@pytest.mark.parametrize(("operation", "row"), TABLE.items(), ids=TABLE)
async def test_each_caller_gets_what_the_table_says(
    api: httpx.AsyncClient, booking: asyncpg.Pool, signer: Signer, issuer: Issuer, operation: str, row: Row
) -> None:
    found: Row = {}
    for caller in row:
        # Who has something that is live cannot be erased yet.
        it = await world.make(booking, signer, "somebody" if "buyers" in operation else BUYER)
        path = {
            "event_id": it.room if "waiting-room" in operation else it.event,
            "pool_id": it.hall,
            "hold_id": it.hold,
            "order_id": it.order,
            "ticket_id": it.ticket,
            "entry_id": it.entry,
            "buyer_id": BUYER,
        }
        body = BODIES[operation](it) if operation in BODIES else None
        answers = {(await ask(api, token, operation, path, body)).status_code for token in tokens(issuer, caller)}
        [found[caller]] = answers
    assert found == row
