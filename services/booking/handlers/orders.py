"""Checkout, and the saga's commands; each within one transaction that the caller opens and commits.

All fail closed: without the database nothing is sold. A command locks its order first, so an order has one command at
a time; nothing waits for a network while it holds the lock.
"""

from __future__ import annotations

import uuid

from services.booking.domain import orders as rules
from services.booking.domain.holds import CHECKOUT_SECONDS, HoldStatus, HoldUnusable
from services.booking.domain.orders import Order, OrderStatus
from services.booking.domain.tickets import ticket_id
from services.booking.domain.vouchers import VoucherUnusable
from services.booking.ports import NewTicket, Store, Voice
from services.booking.ticket_codes import Signer
from services.common.inbox import Outcome
from services.common.outbox import SAGA
from services.contracts import Event, Failure, SagaInput

_PAID = (OrderStatus.COMPLETED, OrderStatus.REFUNDED)


async def checkout(
    store: Store, voice: Voice, *, hold_id: uuid.UUID, buyer_id: str, payment_method: str, voucher: str | None = None
) -> Order:
    """Make an order of a live hold, and have its saga started.

    Idempotency: the API's key (principal, key), and a hold has one order. Retries: the client's, with the same key.
    Raises HoldUnusable, VoucherUnusable.
    """
    order_id = uuid.uuid4()
    bound = await store.bind_hold(order_id, hold_id, buyer_id, CHECKOUT_SECONDS)
    if bound is None:
        raise HoldUnusable(f"hold {hold_id} is not yours, has ended, or has an order already; take a new hold")
    amount, voucher_id = bound.amount, None
    if voucher is not None:
        redeemed = await store.redeem(voucher, bound.event_id, bound.ticket_type_id)
        if redeemed is None:
            raise VoucherUnusable("this voucher is unknown, used up, expired, or for something else; go on without it")
        amount, voucher_id = redeemed.off(amount), redeemed.id
    order = Order(
        id=order_id,
        hold_id=hold_id,
        event_id=bound.event_id,
        ticket_type_id=bound.ticket_type_id,
        buyer_id=buyer_id,
        quantity=bound.quantity,
        amount=amount,
        currency=bound.currency,
        voucher_id=voucher_id,
        status=OrderStatus.PLACED,
    )
    await store.add_order(order, payment_method)
    terms = SagaInput(
        order_id=str(order.id),
        buyer_id=buyer_id,
        amount=order.amount,
        currency=order.currency,
        payment_method=payment_method,
    )
    await voice.add(SAGA, str(order.id), terms.model_dump())
    await voice.event(Event.ORDER_PLACED, **ids_of(order))
    return order


async def confirm_seats(store: Store, voice: Voice, order_id: uuid.UUID) -> Outcome:
    """Turn the order's hold into sold seats.

    Idempotency: the inbox, and the hold's status. Retries: the state machine's. A hold that has expired is lost for
    good.
    """
    order = await store.lock(order_id)
    if order is None or order.status is OrderStatus.CANCELLED:
        return Outcome(error=Failure.REFUSED, cause=f"order {order_id} is cancelled or unknown")
    if await store.confirm_hold(order.hold_id):
        await store.move_order(order_id, rules.sources(OrderStatus.CONFIRMED), OrderStatus.CONFIRMED)
        return Outcome({"holdId": str(order.hold_id)})
    hold = await store.hold(order.hold_id)
    if hold is not None and hold.status is HoldStatus.CONFIRMED:
        return Outcome({"holdId": str(order.hold_id)})
    return Outcome(error=Failure.HOLD_LOST, cause=f"hold {order.hold_id} has expired or was released")


async def issue_tickets(store: Store, voice: Voice, signer: Signer, order_id: uuid.UUID) -> Outcome:
    """Issue the signed tickets of an order whose seats are sold, and complete it.

    Idempotency: the inbox; ticket ids and codes are functions of the order. Retries: forward, for ever: the money is
    taken.
    """
    order = await store.lock(order_id)
    if order is None:
        return Outcome(error=Failure.REFUSED, cause=f"order {order_id} is unknown")
    ids = [ticket_id(order_id, number + 1) for number in range(order.quantity)]
    if order.status in _PAID:
        return Outcome({"ticketIds": [str(ticket) for ticket in ids]})
    hold = await store.hold(order.hold_id)
    if hold is None or hold.status is not HoldStatus.CONFIRMED:
        return Outcome(error=Failure.SEAT_GONE, cause=f"the seats of order {order_id} were given back")
    if await store.move_order(order_id, rules.sources(OrderStatus.COMPLETED), OrderStatus.COMPLETED):
        seats: list[uuid.UUID | None] = [*await store.seats(order.hold_id)] or [None] * order.quantity
        values = rules.shares(order.amount, order.quantity)
        tickets = [
            NewTicket(ticket, number, signer.code(ticket, order.event_id), value, seat)
            for number, (ticket, value, seat) in enumerate(zip(ids, values, seats, strict=True), 1)
        ]
        await store.issue(order, tickets)
        for ticket in ids:
            await voice.event(Event.TICKET_ISSUED, ticketId=str(ticket), **ids_of(order))
        await voice.event(Event.ORDER_COMPLETED, **ids_of(order))
        return Outcome({"ticketIds": [str(ticket) for ticket in ids]})
    return Outcome(error=Failure.SEAT_GONE, cause=f"order {order_id} is {order.status.value}")


async def release(store: Store, voice: Voice, order_id: uuid.UUID) -> Outcome:
    """Compensation: give the capacity back, whether held or sold; nothing to give back is fine.

    Idempotency: the hold's status. Tombstone: a released or expired hold refuses a late `booking.confirm_seats`.
    """
    order = await store.lock(order_id)
    if order is None:
        return Outcome(error=Failure.REFUSED, cause=f"order {order_id} is unknown")
    if order.status in _PAID:
        return Outcome(error=Failure.REFUSED, cause=f"order {order_id} is {order.status.value}; refund it instead")
    await store.release_hold(order.hold_id)
    await store.void_tickets(order_id)
    return Outcome({"holdId": str(order.hold_id)})


async def cancel_order(store: Store, voice: Voice, order_id: uuid.UUID) -> Outcome:
    """The end of a compensated saga. Idempotency: the order's status. A completed order is refused."""
    return await _end(store, voice, order_id, OrderStatus.CANCELLED, Event.ORDER_CANCELLED)


async def needs_operator(store: Store, voice: Voice, order_id: uuid.UUID) -> Outcome:
    """Park the order for a person to look at. Idempotency: the order's status. The event raises the alarm."""
    return await _end(store, voice, order_id, OrderStatus.NEEDS_OPERATOR, Event.ORDER_NEEDS_OPERATOR)


async def _end(store: Store, voice: Voice, order_id: uuid.UUID, to: OrderStatus, event: Event) -> Outcome:
    if await store.move_order(order_id, rules.sources(to), to):
        order = await store.lock(order_id)
        if order is not None:
            await voice.event(event, **ids_of(order))
            if to is OrderStatus.CANCELLED and order.voucher_id is not None:
                await store.give_back_voucher(order_id)
        return Outcome({"orderId": str(order_id)})
    order = await store.lock(order_id)
    if order is not None and order.status is to:
        return Outcome({"orderId": str(order_id)})
    was = order.status.value if order else "unknown"
    return Outcome(error=Failure.REFUSED, cause=f"order {order_id} is {was}; it cannot become {to.value}")


def ids_of(order: Order) -> dict[str, str]:
    """What an event about an order names."""
    return {"orderId": str(order.id), "buyerId": order.buyer_id, "eventId": str(order.event_id)}
