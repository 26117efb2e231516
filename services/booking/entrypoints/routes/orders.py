"""One's own orders, the trail of their sagas, and refunds."""

from __future__ import annotations

import uuid
from typing import Any

import asyncpg
from botocore.exceptions import BotoCoreError, ClientError
from fastapi import APIRouter

from services.booking.adapters.catalogue import Catalogue
from services.booking.adapters.store import PostgresStore
from services.booking.adapters.tickets import PostgresRefunds
from services.booking.domain.orders import Order
from services.booking.domain.refunds import NotRefundable
from services.booking.entrypoints.bodies.orders import OrderView, RefundRequest, RefundView, SagaView
from services.booking.entrypoints.wiring import ACTED, Wired, act_once
from services.booking.handlers import refunds
from services.common.auth import PLATFORM, Caller, Principal
from services.common.idempotency import IdempotencyKey, Stored
from services.common.outbox import Outbox
from services.common.problems import NOT_FOUND, Problem, documented

router = APIRouter(tags=["orders"])


@router.get("/orders/{order_id}", response_model=OrderView, responses=documented(NOT_FOUND))
async def show_order(order_id: uuid.UUID, caller: Caller, services: Wired) -> Any:
    """One's own order, with its tickets."""
    store = PostgresStore(services.pool)
    order = await _own(store, order_id, caller)
    tickets = await store.tickets(order_id)
    return {
        "id": order.id,
        "status": order.status.value,
        "event_id": order.event_id,
        "ticket_type_id": order.ticket_type_id,
        "quantity": order.quantity,
        "amount": order.amount,
        "currency": order.currency,
        "tickets": [
            {**_shown(ticket), "code": ticket["code"] if ticket["holder_id"] == caller.id else None}
            for ticket in tickets
        ],
    }


@router.get("/orders/{order_id}/saga", response_model=SagaView, responses=documented(NOT_FOUND))
async def show_saga(order_id: uuid.UUID, caller: Caller, services: Wired) -> Any:
    """The trail of an order's saga: step, attempt, outcome and time."""
    store = PostgresStore(services.pool)
    await _own(store, order_id, caller)
    try:
        execution = await services.executions.read(str(order_id))
    except (BotoCoreError, ClientError):
        execution = {"executionArn": None, "status": "UNAVAILABLE", "steps": []}
    return {"orderId": order_id, **execution, "booking": await store.steps(order_id)}


@router.post(
    "/orders/{order_id}/refunds",
    status_code=202,
    response_model=RefundView,
    responses=documented(NOT_FOUND, *ACTED, (409, "not-refundable")),
)
async def request_refund(
    order_id: uuid.UUID, asked: RefundRequest, caller: Caller, services: Wired, idempotency_key: IdempotencyKey
) -> Any:
    """Give tickets back: by their buyer until the event's deadline, by its organiser and the platform at any time."""

    async def work(connection: asyncpg.Connection) -> Stored:
        order = await PostgresStore(connection).order(order_id)
        anytime = order is not None and (
            PLATFORM in caller.roles or await Catalogue(connection).owner("events", order.event_id) == caller.id
        )
        if order is None or not (anytime or order.buyer_id == caller.id):
            raise Problem(404, "not-found", f"You have no order {order_id}.")
        try:
            refund = await refunds.request_refund(
                PostgresRefunds(connection),
                Outbox(connection),
                order_id=order_id,
                ticket_ids=asked.ticket_ids,
                requested_by=caller.id,
                anytime=anytime,
            )
        except NotRefundable as error:
            raise Problem(409, "not-refundable", f"{error}.") from None
        return Stored(202, {"id": str(refund.id), "amount": refund.amount, "status": refund.status.value})

    return await act_once(services, caller, idempotency_key, f"refund {order_id}", asked, work)


def _shown(ticket: dict[str, Any]) -> dict[str, Any]:
    return {name: ticket[name] for name in ("id", "status", "section", "line", "seat")}


async def _own(store: PostgresStore, order_id: uuid.UUID, caller: Principal) -> Order:
    order = await store.order(order_id)
    if order is None or (order.buyer_id != caller.id and PLATFORM not in caller.roles):
        raise Problem(404, "not-found", f"You have no order {order_id}.")
    return order
