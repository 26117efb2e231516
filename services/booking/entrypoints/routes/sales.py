"""Holds and checkout: the hot path of an on-sale."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

import asyncpg
from fastapi import APIRouter, Header
from fastapi.responses import JSONResponse

from services.booking.adapters.admission import NotAdmitted
from services.booking.adapters.store import PostgresStore
from services.booking.domain import holds
from services.booking.domain.holds import EXTENSIONS, HOLD_SECONDS, HoldRequest, HoldUnusable, Refused
from services.booking.domain.vouchers import VoucherUnusable
from services.booking.entrypoints.bodies.sales import Checkout, HoldView, NewHold, Placed
from services.booking.entrypoints.wiring import ACTED, Wired, act_once
from services.booking.handlers import orders
from services.common.auth import Caller, Principal
from services.common.idempotency import IdempotencyKey, Stored
from services.common.outbox import Outbox
from services.common.problems import NOT_FOUND, Problem, documented

router = APIRouter(tags=["sales"])
# Status, type and what the buyer reads, of each reason for which a hold is not taken.
REFUSALS: dict[type[Refused], tuple[int, str, str]] = {
    holds.SoldOut: (409, "sold-out", "Fewer than that are left of this ticket type; join the waiting list."),
    holds.NotOnSale: (409, "not-on-sale", "This ticket type is not on sale now; see salesFrom and salesUntil."),
    holds.LimitReached: (409, "limit-reached", "You would have more than one buyer may have; see maxPerBuyer."),
    holds.SeatsNeeded: (409, "seats-needed", "Name `seats` for numbered seats, and only for those."),
    holds.SeatsTaken: (409, "seats-taken", "One of these seats is taken, or not of this hall; choose others."),
    holds.UnknownTicketType: (404, "not-found", "There is no such ticket type."),
    holds.KeyReused: (
        422,
        "idempotency-key-reused",
        "This Idempotency-Key was used with another request; use a new one.",
    ),
    holds.Overloaded: (429, "too-many-buyers", "Too many buyers at once; try again."),
}


Admission = Annotated[str | None, Header(max_length=500, description="The token of the event's waiting room.")]


@router.post(
    "/holds",
    status_code=201,
    response_model=HoldView,
    responses=documented((403, "not-admitted"), *((status, kind) for status, kind, _ in REFUSALS.values())),
)
async def take_hold(
    new: NewHold, caller: Caller, services: Wired, idempotency_key: IdempotencyKey, admission: Admission = None
) -> Any:
    """Hold capacity for ten minutes. The same key gets the same hold."""
    hold_id = holds.hold_id(caller.id, idempotency_key)
    request = HoldRequest(hold_id, new.ticket_type_id, caller.id, new.quantity, tuple(new.seats))
    try:
        await services.waiting_room.check(new.ticket_type_id, caller.id, admission)
        expires_at = await services.allocator.take(request)
    except NotAdmitted as error:
        raise Problem(403, "not-admitted", f"{error}.") from None
    except Refused as refused:
        status, kind, detail = REFUSALS[type(refused)]
        raise Problem(status, kind, detail, headers={"Retry-After": "1"} if status == 429 else None) from None
    # Serialised by hand: validating the answer would cost a tenth of the hot path.
    return JSONResponse({"id": str(hold_id), "expiresAt": expires_at.isoformat()}, 201)


@router.post(
    "/holds/{hold_id}/extension",
    response_model=HoldView,
    responses=documented(NOT_FOUND, *ACTED, (409, "hold-unusable")),
)
async def extend_hold(hold_id: uuid.UUID, caller: Caller, services: Wired, idempotency_key: IdempotencyKey) -> Any:
    """Ten minutes more from now on, for one's own live hold, so many times as EXTENSIONS says."""

    async def work(connection: asyncpg.Connection) -> Stored:
        await _require_hold(connection, hold_id, caller)
        until = await PostgresStore(connection).extend_hold(hold_id, caller.id, HOLD_SECONDS, EXTENSIONS)
        if until is None:
            raise Problem(
                409,
                "hold-unusable",
                f"Hold {hold_id} has ended, has an order already, or was extended {EXTENSIONS} times.",
            )
        return Stored(200, {"id": str(hold_id), "expiresAt": until.isoformat()})

    return await act_once(services, caller, idempotency_key, f"extend {hold_id}", None, work)


@router.delete("/holds/{hold_id}", status_code=204, responses=documented(NOT_FOUND))
async def give_up_hold(hold_id: uuid.UUID, caller: Caller, services: Wired) -> None:
    """Give one's own hold back before it expires; what has an order stays."""
    async with services.pool.acquire() as connection, connection.transaction():
        mine = await connection.fetchval(
            "SELECT true FROM holds WHERE id = $1 AND buyer_id = $2 AND order_id IS NULL FOR UPDATE", hold_id, caller.id
        )
        if not mine:
            raise Problem(404, "not-found", f"You have no hold {hold_id} without an order.")
        await PostgresStore(connection).release_hold(hold_id)


@router.post(
    "/checkout",
    status_code=202,
    response_model=Placed,
    responses=documented(NOT_FOUND, *ACTED, (409, "hold-unusable"), (409, "voucher-unusable")),
)
async def checkout(new: Checkout, caller: Caller, services: Wired, idempotency_key: IdempotencyKey) -> Any:
    """Order what is held. The answer comes at once; the order's saga takes the payment and issues the tickets."""

    async def work(connection: asyncpg.Connection) -> Stored:
        await _require_hold(connection, new.hold_id, caller)
        try:
            order = await orders.checkout(
                PostgresStore(connection),
                Outbox(connection),
                hold_id=new.hold_id,
                buyer_id=caller.id,
                payment_method=new.payment_method,
                voucher=new.voucher,
            )
        except HoldUnusable as error:
            raise Problem(409, "hold-unusable", f"{error}.") from None
        except VoucherUnusable as error:
            raise Problem(409, "voucher-unusable", f"{error}.") from None
        return Stored(202, {"orderId": str(order.id), "status": order.status.value, "amount": order.amount})

    return await act_once(services, caller, idempotency_key, "checkout", new, work)


async def _require_hold(connection: asyncpg.Connection, hold_id: uuid.UUID, caller: Principal) -> None:
    """Raises Problem 404 unless the hold, in whatever state, is the caller's own."""
    hold = await PostgresStore(connection).hold(hold_id)
    if hold is None or hold.buyer_id != caller.id:
        raise Problem(404, "not-found", f"You have no hold {hold_id}.")
