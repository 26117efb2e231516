"""The use cases of refunds: what may go back is decided under the payment's lock, Stripe is called outside of it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from services.common.saga_worker import Retry
from services.contracts import Event, EventMessage, Failure
from services.payment import moves
from services.payment.domain import BY_EVENT, BY_SAGA, Payment, ProviderRefund, Refund, RefundStatus, Status
from services.payment.ports import Processor, Transaction, Transactions

# The queue of booking's wishes.
QUEUE = "payment.orders"
# Seconds that one worker has for one refund before another takes it up; Stripe's key makes a second try harmless.
LEASE_SECONDS = 60.0


async def request(transactions: Transactions, event: EventMessage) -> None:
    """`order.refund_requested`: write the refund down, or refuse it with `payment.refund_failed`.

    Idempotency: the event's id and the refund's id. Retries: the broker's. Raises ValueError for an event without
    usable ids, which ends as a dead letter. Fails closed: more than is left, or a disputed payment, is refused.
    """
    order_id, refund_id = uuid.UUID(event.ids["orderId"]), uuid.UUID(event.ids["refundId"])
    amount = int(event.ids["amount"])
    if amount < 1:
        raise ValueError(f"refund {refund_id} of {amount}: must be 1 or more minor units")
    async with transactions() as tx:
        if not await tx.first_time(event.id):
            return
        paid = await tx.store.paid(order_id)
        payment = paid and await tx.store.lock(paid.order_id, paid.attempt)
        if payment is None:
            ids = {name: event.ids[name] for name in ("orderId", "buyerId", "refundId", "amount")}
            await tx.tell(Event.PAYMENT_REFUND_FAILED, ids)
            return
        failure = await _refusal(tx, payment, amount)
        added = await tx.refunds.add(_new(payment, refund_id, amount, BY_EVENT), failure=failure)
        if added and failure:
            await tx.say(Event.PAYMENT_REFUND_FAILED, payment, refundId=str(refund_id), amount=str(amount))


async def of_saga(tx: Transaction, payment: Payment) -> Refund | None:
    """The saga's refund of ``payment``, which is locked: the one that stands, else a new one of all that is left.

    None when nothing is left. Raises Retry while a dispute is open.
    """
    refunds = await tx.refunds.of(payment)
    standing = next((r for r in refunds if r.reason == BY_SAGA and r.status is not RefundStatus.FAILED), None)
    if standing and (standing.status is RefundStatus.SUCCEEDED or standing.provider_id):
        return standing
    left = await refundable(tx, payment)
    if not standing and left < 1:
        return None
    if await disputed(tx, payment):
        raise Retry(Failure.TRANSIENT, f"payment {payment.id} is disputed; nothing is refunded until that is settled")
    if standing:
        return standing
    # One that failed has used its id up, here and as Stripe's key.
    refund = _new(payment, uuid.uuid5(payment.order_id, f"{BY_SAGA}:{payment.attempt}:{len(refunds)}"), left, BY_SAGA)
    await tx.refunds.add(refund)
    return refund


async def carry_out_next(processor: Processor, transactions: Transactions) -> bool:
    """Carry out one refund that waits; False when none does.

    Idempotency: the refund's id, which is Stripe's key. Retries: a lost answer leaves it waiting, with a growing pause.
    One whose payment was disputed meanwhile is looked up, and refused when the provider knows nothing of it.
    """
    async with transactions() as tx:
        refund = await tx.refunds.due(LEASE_SECONDS)
        if refund is None:
            return False
        payment = await tx.store.lock(refund.order_id, refund.attempt)
        blocked = payment is not None and await disputed(tx, payment)
    assert payment is not None, "a refund refers to its payment"
    assert payment.intent_id is not None, "a captured payment has its intent: see attach"
    answer = await carry_out(processor, refund, payment.intent_id, blocked=blocked)
    async with transactions() as tx:
        await moves.refund_followed(tx, refund, answer)
    return True


async def carry_out(processor: Processor, refund: Refund, intent_id: str, *, blocked: bool = False) -> ProviderRefund:
    """Make a refund at the provider, or look up the one that is there; one that is ``blocked`` is not made any more."""
    if refund.provider_id is None and not blocked:
        return await processor.refund(refund, intent_id)
    for made in await processor.refunds_of(intent_id):
        if refund.id == made.refund_id or (made.id is not None and made.id == refund.provider_id):
            return made
    status = RefundStatus.FAILED if refund.provider_id is None else RefundStatus.REQUESTED
    return ProviderRefund(refund.provider_id, status, refund.amount, refund.id, failure="disputed")


async def adopt(tx: Transaction, payment: Payment, answer: ProviderRefund) -> None:
    """Follow a refund at the provider, known or not: one that was made in its own pages is written down here."""
    refunds = await tx.refunds.of(payment)
    known = next((r for r in refunds if answer.id == r.provider_id or answer.refund_id == r.id), None)
    if known is None:
        known = _new(payment, uuid.uuid5(payment.order_id, str(answer.id)), answer.amount, "provider")
        await tx.refunds.add(known)
    await moves.refund_followed(tx, known, answer)


async def refundable(tx: Transaction, payment: Payment) -> int:
    """What is left to refund, in minor units, of a payment that is locked: captured, less refunds and disputes."""
    if payment.status not in (Status.CAPTURED, Status.REFUNDED):
        return 0
    refunds = sum(r.amount for r in await tx.refunds.of(payment) if r.status is not RefundStatus.FAILED)
    lost = sum(d.amount for d in await tx.disputes.of(payment) if d.status == "lost")
    return payment.amount - refunds - lost


async def disputed(tx: Transaction, payment: Payment) -> bool:
    """Whether a dispute of a payment is open: a refund beside it could pay the buyer twice."""
    return any(not dispute.settled for dispute in await tx.disputes.of(payment))


async def _refusal(tx: Transaction, payment: Payment, amount: int) -> str | None:
    if await disputed(tx, payment):
        return "disputed"
    left = await refundable(tx, payment)
    return f"{left} is left" if amount > left else None


def _new(payment: Payment, refund_id: uuid.UUID, amount: int, reason: str) -> Refund:
    return Refund(
        id=refund_id,
        order_id=payment.order_id,
        attempt=payment.attempt,
        amount=amount,
        reason=reason,
        status=RefundStatus.REQUESTED,
        provider_id=None,
        failure=None,
        requested_at=datetime.now(UTC),
    )
