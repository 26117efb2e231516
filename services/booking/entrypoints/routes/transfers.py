"""Tickets that change hands."""

from __future__ import annotations

import uuid
from typing import Any

import asyncpg
from fastapi import APIRouter

from services.booking.adapters.tickets import PostgresTransfers
from services.booking.domain.tickets import NotHeld, NotTransferable
from services.booking.entrypoints.bodies.transfers import Acceptance, MyTicket, Offer
from services.booking.entrypoints.wiring import ACTED, Wired, act_once
from services.booking.handlers import transfers
from services.common.auth import Caller
from services.common.idempotency import IdempotencyKey, Stored
from services.common.outbox import Outbox
from services.common.problems import NOT_FOUND, Problem, documented

router = APIRouter(tags=["transfers"])


@router.post(
    "/tickets/{ticket_id}/offer",
    status_code=201,
    response_model=Offer,
    responses=documented(NOT_FOUND, (409, "not-transferable")),
)
async def offer_ticket(ticket_id: uuid.UUID, caller: Caller, services: Wired) -> Any:
    """Offer one's own valid ticket to whoever gets the secret; an offer made before is worth nothing any more."""
    async with services.pool.acquire() as connection, connection.transaction():
        try:
            secret, until = await transfers.offer(
                PostgresTransfers(connection), ticket_id=ticket_id, holder_id=caller.id
            )
        except NotHeld as error:
            raise Problem(404, "not-found", f"{error}.") from None
        except NotTransferable as error:
            raise Problem(409, "not-transferable", f"{error}.") from None
    return Offer(secret=secret, expires_at=until)


@router.post(
    "/transfers",
    status_code=201,
    response_model=MyTicket,
    responses=documented(*ACTED, (409, "not-transferable")),
)
async def accept_ticket(
    acceptance: Acceptance, caller: Caller, services: Wired, idempotency_key: IdempotencyKey
) -> Any:
    """Take an offered ticket over."""

    async def work(connection: asyncpg.Connection) -> Stored:
        try:
            new_id = await transfers.accept(
                PostgresTransfers(connection),
                Outbox(connection),
                services.signer,
                secret=acceptance.secret,
                holder_id=caller.id,
            )
        except NotTransferable as error:
            raise Problem(409, "not-transferable", f"{error}.") from None
        row = await connection.fetchrow("SELECT id, event_id, status, code FROM tickets WHERE id = $1", new_id)
        return Stored(201, MyTicket(**row).model_dump(mode="json"))

    return await act_once(services, caller, idempotency_key, "accept transfer", acceptance, work)


@router.get("/tickets", response_model=list[MyTicket])
async def my_tickets(caller: Caller, services: Wired) -> Any:
    """The newest hundred tickets that one holds, bought or taken over."""
    rows = await services.pool.fetch(
        """SELECT id, event_id, status, code FROM tickets WHERE holder_id = $1 AND status <> 'void'
           ORDER BY issued_at DESC LIMIT 100""",
        caller.id,
    )
    return [dict(row) for row in rows]
