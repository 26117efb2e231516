"""Venues, events and what they sell: written by organisers, read by everybody."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

import asyncpg
from fastapi import APIRouter, Query

from services.booking.adapters import figures
from services.booking.adapters.catalogue import Catalogue
from services.booking.entrypoints.bodies.catalogue import (
    ChangedEvent,
    EventView,
    Figures,
    NewEvent,
    NewPool,
    NewTicketType,
    NewVenue,
    NewVoucher,
    SeatView,
)
from services.booking.entrypoints.bodies.kinds import Created
from services.booking.entrypoints.wiring import ACTED, Services, Wired, act_once, require_own
from services.common.auth import ORGANISER, PLATFORM, Caller, Principal
from services.common.idempotency import IdempotencyKey, Stored
from services.common.outbox import Outbox
from services.common.problems import FORBIDDEN, NOT_FOUND, Problem, documented
from services.contracts import Event

router = APIRouter(tags=["catalogue"])
OWN = (FORBIDDEN, NOT_FOUND)


@router.post("/venues", status_code=201, response_model=Created, responses=documented(FORBIDDEN, *ACTED))
async def create_venue(new: NewVenue, caller: Caller, services: Wired, idempotency_key: IdempotencyKey) -> Any:
    """Create a venue, as an organiser."""
    caller.require(ORGANISER)

    async def work(connection: asyncpg.Connection) -> Stored:
        values = {"organiser_id": caller.id, **new.model_dump(by_alias=False)}
        return Stored(201, {"id": str(await Catalogue(connection).add("venues", values))})

    return await act_once(services, caller, idempotency_key, "create venue", new, work)


@router.post("/events", status_code=201, response_model=Created, responses=documented(*OWN, *ACTED))
async def create_event(new: NewEvent, caller: Caller, services: Wired, idempotency_key: IdempotencyKey) -> Any:
    """Create an event, as an organiser, at a venue of one's own."""
    caller.require(ORGANISER)

    async def work(connection: asyncpg.Connection) -> Stored:
        if new.venue_id is not None:
            await require_own(connection, caller, "venue", new.venue_id)
        values = {"organiser_id": caller.id, **new.model_dump(by_alias=False, exclude={"draft"})}
        created = await Catalogue(connection).add("events", {**values, "status": _DRAFT[new.draft]})
        await Outbox(connection).event(Event.EVENT_CHANGED, eventId=str(created))
        return Stored(201, {"id": str(created)})

    return await act_once(services, caller, idempotency_key, "create event", new, work)


_DRAFT = {True: "draft", False: "published"}


@router.post("/events/{event_id}/pools", status_code=201, response_model=Created, responses=documented(*OWN, *ACTED))
async def add_pool(
    event_id: uuid.UUID, new: NewPool, caller: Caller, services: Wired, idempotency_key: IdempotencyKey
) -> Any:
    """Add a capacity pool to one's own event: places, or numbered seats."""

    async def work(connection: asyncpg.Connection) -> Stored:
        await require_own(connection, caller, "event", event_id)
        catalogue = Catalogue(connection)
        if new.capacity is not None:
            created = await catalogue.add_pool(event_id, new.name, new.capacity)
        else:
            seats = [(seat.section, seat.line, seat.number) for seat in new.seats]
            created = await catalogue.add_seated_pool(event_id, new.name, seats)
        return Stored(201, {"id": str(created)})

    return await act_once(services, caller, idempotency_key, f"add pool {event_id}", new, work)


@router.post(
    "/events/{event_id}/ticket-types", status_code=201, response_model=Created, responses=documented(*OWN, *ACTED)
)
async def add_ticket_type(
    event_id: uuid.UUID, new: NewTicketType, caller: Caller, services: Wired, idempotency_key: IdempotencyKey
) -> Any:
    """Add a ticket type to one's own event."""

    async def work(connection: asyncpg.Connection) -> Stored:
        await require_own(connection, caller, "event", event_id)
        catalogue, pool_id = Catalogue(connection), new.pool_id
        if new.capacity is not None:
            pool_id = await catalogue.add_pool(event_id, new.name, new.capacity)
        if pool_id is None or await catalogue.event_of_pool(pool_id) != event_id:
            raise Problem(404, "not-found", f"Event {event_id} has no pool {pool_id}.")
        created = await catalogue.add_ticket_type(
            event_id,
            pool_id,
            new.name,
            new.currency,
            new.prices(),
            window=(new.sales_from, new.sales_until),
            max_per_buyer=new.max_per_buyer,
        )
        await Outbox(connection).event(Event.EVENT_CHANGED, eventId=str(event_id))
        return Stored(201, {"id": str(created)})

    return await act_once(services, caller, idempotency_key, f"add ticket type {event_id}", new, work)


@router.post(
    "/events/{event_id}/vouchers",
    status_code=201,
    response_model=Created,
    responses=documented(*OWN, *ACTED, (409, "code-taken")),
)
async def add_voucher(
    event_id: uuid.UUID, new: NewVoucher, caller: Caller, services: Wired, idempotency_key: IdempotencyKey
) -> Any:
    """Add a voucher to one's own event."""

    async def work(connection: asyncpg.Connection) -> Stored:
        await require_own(connection, caller, "event", event_id)
        values = new.model_dump(by_alias=False, exclude_none=True)
        try:
            async with connection.transaction():
                created = await Catalogue(connection).add("vouchers", {"event_id": event_id, **values})
        except asyncpg.UniqueViolationError:
            raise Problem(409, "code-taken", f"The event has a voucher {new.code} already.") from None
        except asyncpg.ForeignKeyViolationError:
            raise Problem(404, "not-found", f"There is no ticket type {new.ticket_type_id}.") from None
        return Stored(201, {"id": str(created)})

    return await act_once(services, caller, idempotency_key, f"add voucher {event_id}", new, work)


@router.post("/events/{event_id}/publication", status_code=204, responses=documented(*OWN, (409, "event-cancelled")))
async def publish(event_id: uuid.UUID, caller: Caller, services: Wired) -> None:
    """Put a draft on sale; what is published already stays so."""
    await _set_status(services, caller, event_id, "published", refused="cancelled")


@router.post("/events/{event_id}/cancellation", status_code=204, responses=documented(*OWN))
async def cancel(event_id: uuid.UUID, caller: Caller, services: Wired) -> None:
    """Cancel one's own event: nothing is sold any more, and every buyer is refunded, one after the other."""
    await _set_status(services, caller, event_id, "cancelled", refused=None)


async def _set_status(
    services: Services, caller: Principal, event_id: uuid.UUID, status: str, *, refused: str | None
) -> None:
    async with services.pool.acquire() as connection, connection.transaction():
        await require_own(connection, caller, "event", event_id)
        was = await connection.fetchval("SELECT status FROM events WHERE id = $1 FOR UPDATE", event_id)
        if was == refused:
            raise Problem(409, "event-cancelled", "A cancelled event stays cancelled; create another.")
        if was != status:
            await Catalogue(connection).changed(event_id, status)
            await Outbox(connection).event(Event.EVENT_CHANGED, eventId=str(event_id))


@router.get("/events/{event_id}", response_model=EventView, responses=documented(NOT_FOUND))
async def show_event(event_id: uuid.UUID, services: Wired) -> Any:
    """An event and what is on sale; public."""
    event = await Catalogue(services.pool).event(event_id)
    if event is None:
        raise Problem(404, "not-found", f"There is no event {event_id}.")
    return event


@router.get("/pools/{pool_id}/seats", response_model=list[SeatView], responses=documented(NOT_FOUND))
async def show_seats(pool_id: uuid.UUID, services: Wired) -> Any:
    """The seats of a pool and which are free; public."""
    catalogue = Catalogue(services.pool)
    if await catalogue.event_of_pool(pool_id) is None:
        raise Problem(404, "not-found", f"There is no pool {pool_id}.")
    return await catalogue.seats(pool_id)


@router.get("/events/{event_id}/figures", response_model=Figures, responses=documented(*OWN))
async def show_figures(event_id: uuid.UUID, caller: Caller, services: Wired) -> Any:
    """Sales, takings and check-ins of one's own event."""
    await require_own(services.pool, caller, "event", event_id)
    return await figures.of_event(services.pool, event_id)


@router.get("/feed/events", response_model=list[ChangedEvent], responses=documented(FORBIDDEN))
async def feed(caller: Caller, services: Wired, after: Annotated[int, Query(ge=0, le=2**63 - 1)] = 0) -> Any:
    """Events that changed after the change number ``after``, oldest first, a page: what a search index is fed with."""
    caller.require(PLATFORM)
    return await Catalogue(services.pool).changes(after)
