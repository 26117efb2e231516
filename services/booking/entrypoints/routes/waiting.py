"""Waiting: the room before a sale, and the list for what is sold out."""

from __future__ import annotations

import uuid
from typing import Any

import asyncpg
from fastapi import APIRouter
from fastapi.responses import JSONResponse

from services.booking.adapters import waiting_list
from services.booking.adapters.admission import Admitted
from services.booking.entrypoints.bodies.waiting import Admission, Entry, EntryView, Place, Wish
from services.booking.entrypoints.wiring import ACTED, Wired, act_once
from services.common.auth import Caller
from services.common.idempotency import IdempotencyKey, Stored
from services.common.problems import NOT_FOUND, Problem, documented

router = APIRouter(tags=["waiting"])
_RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer"}, "required": True, "description": "seconds"}}


@router.post(
    "/events/{event_id}/waiting-room",
    response_model=Admission,
    responses={**documented(NOT_FOUND), 202: {"model": Place, "description": "Queued", "headers": _RETRY_AFTER}},
)
async def join_room(event_id: uuid.UUID, caller: Caller, services: Wired) -> Any:
    """One's place in the waiting room of an event, or the token once it is one's turn; asking again keeps the place."""
    room = await services.waiting_room.room(event_id)
    if room is None:
        raise Problem(404, "not-found", f"Event {event_id} has no waiting room.")
    found = await services.waiting_room.join(room, caller.id)
    if isinstance(found, Admitted):
        return Admission(token=found.token, expires_at=found.expires_at)
    place = Place(position=found.position, serving=found.serving, retry_after=found.retry_after)
    return JSONResponse(place.model_dump(), 202, headers={"Retry-After": str(found.retry_after)})


@router.post(
    "/waiting-list",
    status_code=201,
    response_model=Entry,
    responses=documented(*ACTED, (409, "nothing-to-wait-for")),
)
async def join_list(new: Wish, caller: Caller, services: Wired, idempotency_key: IdempotencyKey) -> Any:
    """Wait for a ticket type that is sold out: what is given back is offered in the order of the list."""

    async def work(connection: asyncpg.Connection) -> Stored:
        try:
            found = await waiting_list.join(connection, new.ticket_type_id, caller.id, new.quantity)
        except waiting_list.NothingToWaitFor:
            raise Problem(
                409, "nothing-to-wait-for", "This ticket type is not sold out, has numbered seats, or is unknown."
            ) from None
        return Stored(201, {"id": str(found["id"]), "position": found["position"]})

    return await act_once(services, caller, idempotency_key, "join waiting list", new, work)


@router.get("/waiting-list/{entry_id}", response_model=EntryView, responses=documented(NOT_FOUND))
async def show_entry(entry_id: uuid.UUID, caller: Caller, services: Wired) -> Any:
    """One's own place on the list, or the offer that it became."""
    found = await waiting_list.entry(services.pool, entry_id, caller.id)
    if found is None:
        raise Problem(404, "not-found", f"You have no place {entry_id} on a waiting list.")
    return found


@router.delete("/waiting-list/{entry_id}", status_code=204, responses=documented(NOT_FOUND))
async def leave_list(entry_id: uuid.UUID, caller: Caller, services: Wired) -> None:
    """Give one's own place up."""
    async with services.pool.acquire() as connection, connection.transaction():
        if not await waiting_list.leave(connection, entry_id, caller.id):
            raise Problem(404, "not-found", f"You do not wait at place {entry_id}.")
