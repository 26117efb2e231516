"""The door: codes are checked and used up, with a network or without one."""

from __future__ import annotations

import uuid
from typing import Any

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

from services.booking import ticket_codes
from services.booking.adapters import check_ins
from services.booking.adapters.check_ins import CheckIn
from services.booking.entrypoints.bodies.doors import Answer, Code, Listed, Reading, Readings, Verified
from services.booking.entrypoints.wiring import Services, Wired, require_own
from services.common.auth import ORGANISER, PLATFORM, Caller
from services.common.problems import FORBIDDEN, NOT_FOUND, documented

router = APIRouter(tags=["doors"])


@router.post("/tickets/verify", response_model=Verified, responses=documented(FORBIDDEN))
async def verify_ticket(read: Code, caller: Caller, services: Wired) -> Any:
    """Whether a code is a valid ticket of one's own event. It is not used up by this."""
    caller.require(ORGANISER, PLATFORM)
    try:
        ticket_id, event_id = ticket_codes.verify(read.code, services.signer.key.public_key())
    except ticket_codes.InvalidCode:
        return {"valid": False, "reason": "not a ticket of this platform"}
    ticket = await check_ins.ticket(services.pool, ticket_id)
    mine = ticket is not None and (ticket["organiser_id"] == caller.id or PLATFORM in caller.roles)
    if ticket is None or not mine or ticket["event_id"] != event_id:
        return {"valid": False, "reason": "not a ticket of an event of yours"}
    valid = ticket["status"] == "valid"
    return {"valid": valid, "reason": None if valid else ticket["status"], "ticketId": ticket_id, "eventId": event_id}


@router.post("/events/{event_id}/check-ins", response_model=list[Answer], responses=documented(FORBIDDEN, NOT_FOUND))
async def check_in(event_id: uuid.UUID, read: Readings, caller: Caller, services: Wired) -> Any:
    """Use tickets up, each once, in the order given; one answer for each reading.

    The same reading again (device and time) gets the same answer, so a device may send its list again.
    """
    await require_own(services.pool, caller, "event", event_id)
    return [await _check_in(services, event_id, reading, caller.id) for reading in read.readings]


@router.get("/events/{event_id}/check-in-list", response_model=list[Listed], responses=documented(FORBIDDEN, NOT_FOUND))
async def check_in_list(event_id: uuid.UUID, caller: Caller, services: Wired, after: uuid.UUID | None = None) -> Any:
    """Tickets by id, a page after the id ``after``: what a door needs to know to do without a network."""
    await require_own(services.pool, caller, "event", event_id)
    return await check_ins.offline_list(services.pool, event_id, after)


@router.get("/tickets/public-key", response_class=PlainTextResponse)
async def public_key(services: Wired) -> str:
    """The Ed25519 public key (PEM) that verifies codes without a network; public."""
    return services.signer.public_pem


async def _check_in(services: Services, event_id: uuid.UUID, reading: Reading, checked_by: str) -> Answer:
    try:
        ticket_id, _ = ticket_codes.verify(reading.code, services.signer.key.public_key())
    except ticket_codes.InvalidCode:
        return Answer(accepted=False, reason="not a ticket of this platform")
    found = await check_ins.check_in(
        services.pool, event_id, CheckIn(ticket_id, reading.at, reading.device), checked_by
    )
    return Answer(accepted=found.accepted, reason=found.reason, used_at=found.used_at)
