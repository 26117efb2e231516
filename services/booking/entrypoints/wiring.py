"""What the routes of booking's API use, and what they all do: act once per key, and on one's own alone."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

import asyncpg
from fastapi import Depends, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from services.booking.adapters.admission import WaitingRoom
from services.booking.adapters.allocator import Allocator
from services.booking.adapters.catalogue import Catalogue
from services.booking.ticket_codes import Signer
from services.common import erasure
from services.common.auth import ORGANISER, PLATFORM, Principal
from services.common.executions import ExecutionReader
from services.common.idempotency import ONCE, Stored, digest, once
from services.common.problems import Problem


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes use."""

    pool: asyncpg.Pool
    allocator: Allocator
    waiting_room: WaitingRoom
    signer: Signer
    executions: ExecutionReader


def _services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


Wired = Annotated[Services, Depends(_services)]
Work = Callable[[asyncpg.Connection], Awaitable[Stored]]


# What `act_once` may answer beside its work.
ACTED = (*ONCE, erasure.ERASED)


async def act_once(
    services: Services, caller: Principal, key: str, operation: str, body: BaseModel | None, work: Work
) -> JSONResponse:
    """Run ``work`` under the caller's key, or repeat its answer; nothing new is written about who was erased."""

    async def unless_erased(connection: asyncpg.Connection) -> Stored:
        await erasure.require(connection, caller.id)
        return await work(connection)

    asked: Any = None if body is None else body.model_dump(mode="json")
    stored = await once(services.pool, caller.id, key, digest(operation, asked), unless_erased)
    return JSONResponse(stored.body, stored.status)


async def require_own(
    database: asyncpg.Pool | asyncpg.Connection, caller: Principal, kind: str, id: uuid.UUID | None
) -> None:
    """Raises Problem 403 for who is no organiser, 404 unless the event or venue is the caller's own."""
    caller.require(ORGANISER, PLATFORM)
    owner = None if id is None else await Catalogue(database).owner(f"{kind}s", id)
    if owner is None or (owner != caller.id and PLATFORM not in caller.roles):
        raise Problem(404, "not-found", f"You have no {kind} {id}.")
