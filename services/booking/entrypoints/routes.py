"""The API of booking: requests to use cases, and their errors to problems."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Annotated, Any

import asyncpg
from botocore.exceptions import BotoCoreError, ClientError
from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, PlainTextResponse

from services.booking import domain, handlers, ticket_codes
from services.booking.adapters.allocator import Allocator
from services.booking.adapters.store import PostgresStore
from services.booking.domain import HoldRequest, Order
from services.booking.entrypoints import bodies
from services.booking.ticket_codes import Signer
from services.common.auth import ORGANISER, PLATFORM, Caller, Principal
from services.common.executions import ExecutionReader
from services.common.idempotency import IdempotencyKey, Stored, digest, once
from services.common.outbox import Outbox
from services.common.problems import Problem, documented


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes use."""

    pool: asyncpg.Pool
    allocator: Allocator
    signer: Signer
    executions: ExecutionReader


def _services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


Wired = Annotated[Services, Depends(_services)]
router = APIRouter(tags=["booking"], responses=documented(401, 422, 503))


@router.post("/events", status_code=201, response_model=bodies.Created, responses=documented(403, 409))
async def create_event(new: bodies.NewEvent, caller: Caller, services: Wired, idempotency_key: IdempotencyKey) -> Any:
    """Create an event, as an organiser."""
    caller.require(ORGANISER)

    async def work(connection: asyncpg.Connection) -> Stored:
        created = await PostgresStore(connection).add_event(caller.id, new.name, new.starts_at)
        return Stored(201, {"id": str(created)})

    return await _once(services, caller, idempotency_key, "create event", new, work)


@router.post(
    "/events/{event_id}/ticket-types",
    status_code=201,
    response_model=bodies.Created,
    responses=documented(403, 404, 409),
)
async def add_ticket_type(
    event_id: uuid.UUID, new: bodies.NewTicketType, caller: Caller, services: Wired, idempotency_key: IdempotencyKey
) -> Any:
    """Add a ticket type with its capacity to one's own event."""
    caller.require(ORGANISER)

    async def work(connection: asyncpg.Connection) -> Stored:
        store = PostgresStore(connection)
        if await store.organiser_of(event_id) != caller.id:
            raise Problem(404, "not-found", f"You have no event {event_id}.")
        created = await store.add_ticket_type(event_id, new.name, new.price, new.currency, new.capacity)
        return Stored(201, {"id": str(created)})

    return await _once(services, caller, idempotency_key, f"add ticket type {event_id}", new, work)


@router.get("/events/{event_id}", response_model=bodies.EventView, responses=documented(404))
async def show_event(event_id: uuid.UUID, services: Wired) -> Any:
    """An event and what is on sale; public."""
    event = await PostgresStore(services.pool).event(event_id)
    if event is None:
        raise Problem(404, "not-found", f"There is no event {event_id}.")
    return event


@router.post("/holds", status_code=201, response_model=bodies.HoldView, responses=documented(404, 409, 429))
async def take_hold(new: bodies.NewHold, caller: Caller, services: Wired, idempotency_key: IdempotencyKey) -> Any:
    """Hold capacity for ten minutes. The same key gets the same hold."""
    hold_id = domain.hold_id(caller.id, idempotency_key)
    try:
        expires_at = await services.allocator.take(HoldRequest(hold_id, new.ticket_type_id, caller.id, new.quantity))
    except domain.SoldOut:
        raise Problem(409, "sold-out", f"Fewer than {new.quantity} are left of this ticket type.") from None
    except domain.UnknownTicketType:
        raise Problem(404, "not-found", f"There is no ticket type {new.ticket_type_id}.") from None
    except domain.KeyReused:
        raise Problem(
            422, "idempotency-key-reused", "This Idempotency-Key was used with another request; use a new one."
        ) from None
    except domain.Overloaded:
        raise Problem(
            429, "too-many-buyers", "Too many buyers at once; try again.", headers={"Retry-After": "1"}
        ) from None
    # Serialised by hand: validating the answer would cost a tenth of the hot path.
    return JSONResponse({"id": str(hold_id), "expiresAt": expires_at.isoformat()}, 201)


@router.post("/checkout", status_code=202, response_model=bodies.Placed, responses=documented(409))
async def checkout(new: bodies.Checkout, caller: Caller, services: Wired, idempotency_key: IdempotencyKey) -> Any:
    """Order what is held. The answer comes at once; the order's saga takes the payment and issues the tickets."""

    async def work(connection: asyncpg.Connection) -> Stored:
        try:
            order = await handlers.checkout(
                PostgresStore(connection),
                Outbox(connection),
                hold_id=new.hold_id,
                buyer_id=caller.id,
                payment_method=new.payment_method,
            )
        except domain.HoldUnusable as error:
            raise Problem(409, "hold-unusable", f"{error}.") from None
        return Stored(202, {"orderId": str(order.id), "status": order.status.value})

    return await _once(services, caller, idempotency_key, "checkout", new, work)


@router.get("/orders/{order_id}", response_model=bodies.OrderView, responses=documented(404))
async def show_order(order_id: uuid.UUID, caller: Caller, services: Wired) -> Any:
    """One's own order, with its tickets."""
    store = PostgresStore(services.pool)
    order = await _own(store, order_id, caller)
    return {
        "id": order.id,
        "status": order.status.value,
        "event_id": order.event_id,
        "ticket_type_id": order.ticket_type_id,
        "quantity": order.quantity,
        "amount": order.amount,
        "currency": order.currency,
        "tickets": await store.tickets(order_id),
    }


@router.get("/orders/{order_id}/saga", response_model=bodies.SagaView, responses=documented(404))
async def show_saga(order_id: uuid.UUID, caller: Caller, services: Wired) -> Any:
    """The trail of an order's saga: step, attempt, outcome and time."""
    store = PostgresStore(services.pool)
    await _own(store, order_id, caller)
    try:
        execution = await services.executions.read(str(order_id))
    except (BotoCoreError, ClientError):
        execution = {"executionArn": None, "status": "UNAVAILABLE", "steps": []}
    return {"orderId": order_id, **execution, "booking": await store.steps(order_id)}


@router.post("/tickets/verify", response_model=bodies.Verified, responses=documented(403))
async def verify_ticket(read: bodies.Code, caller: Caller, services: Wired) -> Any:
    """Whether a code is a valid ticket of one's own event. It is not used up by this."""
    caller.require(ORGANISER, PLATFORM)
    try:
        ticket_id, event_id = ticket_codes.verify(read.code, services.signer.key.public_key())
    except ticket_codes.InvalidCode:
        return {"valid": False, "reason": "not a ticket of this platform"}
    ticket = await PostgresStore(services.pool).ticket(ticket_id)
    mine = ticket is not None and (ticket["organiser_id"] == caller.id or PLATFORM in caller.roles)
    if ticket is None or not mine or ticket["event_id"] != event_id:
        return {"valid": False, "reason": "not a ticket of an event of yours"}
    valid = ticket["status"] == "valid"
    return {"valid": valid, "reason": None if valid else ticket["status"], "ticketId": ticket_id, "eventId": event_id}


@router.get("/tickets/public-key", response_class=PlainTextResponse)
async def public_key(services: Wired) -> str:
    """The Ed25519 public key (PEM) that verifies codes without a network; public."""
    return services.signer.public_pem


async def _own(store: PostgresStore, order_id: uuid.UUID, caller: Principal) -> Order:
    order = await store.order(order_id)
    if order is None or (order.buyer_id != caller.id and PLATFORM not in caller.roles):
        raise Problem(404, "not-found", f"You have no order {order_id}.")
    return order


async def _once(services: Services, caller: Principal, key: str, operation: str, body: Any, work: Any) -> JSONResponse:
    stored = await once(services.pool, caller.id, key, digest(operation, body.model_dump(mode="json")), work)
    return JSONResponse(stored.body, stored.status)
