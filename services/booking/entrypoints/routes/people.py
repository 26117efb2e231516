"""What a person may ask about himself."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from services.booking.adapters.erasing import PostgresErasure
from services.booking.entrypoints.wiring import Wired
from services.booking.handlers import erasing
from services.common.auth import PLATFORM, Caller
from services.common.outbox import Outbox
from services.common.problems import NOT_FOUND, Problem, documented

router = APIRouter(tags=["people"])
BuyerId = Annotated[str, Path(max_length=128, pattern="^[A-Za-z0-9._@+-]+$", description="The token's subject.")]


@router.delete("/buyers/{buyer_id}", status_code=204, responses=documented(NOT_FOUND, (409, "still-needed")))
async def erase_buyer(buyer_id: BuyerId, caller: Caller, services: Wired) -> None:
    """Erase oneself, or anybody as the platform, in every service. Safe to repeat.

    Orders and tickets are kept for the accounts, under a pseudonym. While something is live, 409 says what.
    """
    if buyer_id != caller.id and PLATFORM not in caller.roles:
        raise Problem(404, "not-found", "You may erase nobody but yourself.")
    try:
        async with services.pool.acquire() as connection, connection.transaction():
            await erasing.erase(PostgresErasure(connection), Outbox(connection), buyer_id)
    except erasing.StillNeeded as error:
        raise Problem(409, "still-needed", f"{error}.") from None
