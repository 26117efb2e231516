"""Refunds: tickets are set aside at once, money goes back through payment, and the capacity returns with its answer."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

from services.booking.domain.orders import OrderStatus, sources
from services.booking.domain.refunds import NotRefundable, Refund, RefundStatus
from services.booking.handlers.orders import ids_of
from services.booking.ports import RefundStore, Voice
from services.contracts import Event


async def request_refund(
    store: RefundStore,
    voice: Voice,
    *,
    order_id: uuid.UUID,
    ticket_ids: Sequence[uuid.UUID] | None,
    requested_by: str,
    anytime: bool,
) -> Refund:
    """Ask for the money of some tickets, or of all that are valid; until it is back they open no door.

    ``anytime``: the organiser and the platform need not keep the buyers' deadline, and may give back for tickets that
    their buyer has given away. Idempotency: the API's key, and a
    ticket is set aside once. Retries: the client's, with the same key. Raises NotRefundable.
    """
    order = await store.lock(order_id)
    if order is None or order.status is not OrderStatus.COMPLETED:
        raise NotRefundable(f"order {order_id} is {order.status.value if order else 'unknown'}, not completed")
    if not anytime and not (await store.refund_terms(order.event_id)).allow(datetime.now(UTC)):
        raise NotRefundable(
            "the organiser of this event gives no refunds, or not any more; transfer the ticket instead"
        )
    tickets = await store.set_aside(order_id, ticket_ids, None if anytime else requested_by)
    if not tickets or (ticket_ids is not None and len(tickets) != len(set(ticket_ids))):
        raise NotRefundable("a ticket is not of this order, or was used, transferred, refunded or asked for already")
    refund = Refund(
        id=uuid.uuid4(),
        order_id=order_id,
        ticket_ids=tuple(ticket.id for ticket in tickets),
        amount=sum(ticket.value for ticket in tickets),
        status=RefundStatus.REQUESTED,
    )
    await store.add_refund(refund, requested_by)
    await voice.event(Event.ORDER_REFUND_REQUESTED, refundId=str(refund.id), amount=str(refund.amount), **ids_of(order))
    return refund


async def refund_succeeded(store: RefundStore, voice: Voice, refund_id: uuid.UUID) -> None:
    """The money is back: the tickets are void, and their capacity is for sale again.

    Idempotency: the inbox, and the refund's status. Retries: the queue's, then the dead letters.
    """
    refund = await store.settle_refund(refund_id, RefundStatus.SUCCEEDED)
    if refund is None:
        return
    order = await store.lock(refund.order_id)
    left = await store.void_refunded(refund)
    if order is not None and left == 0:
        await store.move_order(order.id, sources(OrderStatus.REFUNDED), OrderStatus.REFUNDED)
        await voice.event(Event.ORDER_REFUNDED, refundId=str(refund.id), **ids_of(order))


async def refund_failed(store: RefundStore, refund_id: uuid.UUID) -> None:
    """The money could not be given back: the tickets are good again.

    Idempotency and retries: as of `refund_succeeded`.
    """
    refund = await store.settle_refund(refund_id, RefundStatus.FAILED)
    if refund is not None:
        await store.restore(refund)
