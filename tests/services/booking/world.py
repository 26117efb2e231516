"""One of everything that booking's API can be asked about: an organiser's event, and what a buyer has of it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg

from services.booking.adapters import waiting_list
from services.booking.adapters.allocator import Allocator
from services.booking.adapters.catalogue import Catalogue
from services.booking.adapters.store import PostgresStore
from services.booking.adapters.tickets import PostgresTransfers
from services.booking.domain.holds import HoldRequest
from services.booking.handlers import orders, transfers
from services.booking.ticket_codes import Signer
from services.common.outbox import Outbox
from tests.services.samples import ORGANISER

VOUCHER = "SPRING-10"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Ids; ``room`` and ``queue`` are events with waiting rooms, one open, one not yet; ``secret`` offers a ticket."""

    venue: uuid.UUID
    event: uuid.UUID
    room: uuid.UUID
    queue: uuid.UUID
    pool: uuid.UUID
    hall: uuid.UUID
    seat: uuid.UUID
    ticket_type: uuid.UUID
    seated_type: uuid.UUID
    sold_out_type: uuid.UUID
    hold: uuid.UUID
    order: uuid.UUID
    ticket: uuid.UUID
    code: str
    secret: str
    entry: uuid.UUID


async def make(pool: asyncpg.Pool, signer: Signer, buyer: str) -> World:
    """A world of its own, beside any other in the same database."""
    soon = datetime.now(UTC) + timedelta(days=30)
    async with pool.acquire() as connection, connection.transaction():
        catalogue = Catalogue(connection)
        place = {"name": "Hall", "address": "Main street 1", "city": "Paris", "country": "FR"}
        venue = await catalogue.add("venues", {"organiser_id": ORGANISER, **place})
        event = await catalogue.add_event(ORGANISER, "Concert", soon, venue_id=venue, refunds_until=soon)
        room, queue = [
            await catalogue.add_event(ORGANISER, "Rush", soon, sale_opens_at=opens, admissions_per_second=100)
            for opens in (datetime.now(UTC) - timedelta(minutes=1), soon)
        ]
        standing = await catalogue.add_pool(event, "Standing", 1_000)
        hall = await catalogue.add_seated_pool(event, "Hall", [("A", "1", str(number)) for number in range(20)])
        full = await catalogue.add_pool(event, "Balcony", 1)
        kinds = [
            await catalogue.add_ticket_type(event, place_id, name, "eur", [(None, 2_500)], max_per_buyer=100)
            for place_id, name in ((standing, "Standing"), (hall, "Seat"), (full, "Balcony"))
        ]
        await catalogue.add("vouchers", {"event_id": event, "code": VOUCHER, "percent": 10, "max_uses": 100})
        seat = await connection.fetchval("SELECT id FROM seats WHERE pool_id = $1 ORDER BY number LIMIT 1", hall)
    hold = await held(pool, kinds[0], buyer)
    order = await bought(pool, signer, await held(pool, kinds[0], buyer, 2), buyer)
    given = await bought(pool, signer, await held(pool, kinds[2], "giver"), "giver")
    async with pool.acquire() as connection, connection.transaction():
        ticket, code = await connection.fetchrow("SELECT id, code FROM tickets WHERE order_id = $1 LIMIT 1", order)
        offered = await connection.fetchval("SELECT id FROM tickets WHERE order_id = $1", given)
        secret, _ = await transfers.offer(PostgresTransfers(connection), ticket_id=offered, holder_id="giver")
        entry = (await waiting_list.join(connection, kinds[2], buyer, 1))["id"]
    return World(
        venue=venue,
        event=event,
        room=room,
        queue=queue,
        pool=standing,
        hall=hall,
        seat=seat,
        ticket_type=kinds[0],
        seated_type=kinds[1],
        sold_out_type=kinds[2],
        hold=hold,
        order=order,
        ticket=ticket,
        code=code,
        secret=secret,
        entry=entry,
    )


async def held(pool: asyncpg.Pool, ticket_type: uuid.UUID, buyer: str, quantity: int = 1) -> uuid.UUID:
    request = HoldRequest(uuid.uuid4(), ticket_type, buyer, quantity)
    await Allocator(pool).take(request)
    return request.id


async def bought(pool: asyncpg.Pool, signer: Signer, hold: uuid.UUID, buyer: str) -> uuid.UUID:
    """A completed order of a hold."""
    async with pool.acquire() as connection, connection.transaction():
        store, voice = PostgresStore(connection), Outbox(connection)
        order = await orders.checkout(store, voice, hold_id=hold, buyer_id=buyer, payment_method="pm_card_visa")
        for done in (
            await orders.confirm_seats(store, voice, order.id),
            await orders.issue_tickets(store, voice, signer, order.id),
        ):
            assert done.error is None
    return order.id
