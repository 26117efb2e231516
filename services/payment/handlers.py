"""The use cases of payment. No call to the provider is ever made inside a transaction.

Idempotency key of all: the order and the attempt. Retries: the state machine's, with the same provider key. All fail
closed: an unknown outcome is never taken for a refusal.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from services.common.inbox import Outcome
from services.common.saga_worker import Retry
from services.contracts import Event, Failure, SagaMessage
from services.payment.domain import IntentStatus, Payment, Status
from services.payment.ports import Processor, Store, Unknown


class Transaction(Protocol):
    """A transaction: the state, the outbox, and the decision of the command in the inbox."""

    @property
    def store(self) -> Store:
        """The state."""

    async def say(self, event: Event, payment: Payment) -> None:
        """Announce an event if the transaction commits."""

    async def decide(self, outcome: Outcome) -> None:
        """Decide the command in the inbox."""


Transactions = Callable[[], AbstractAsyncContextManager[Transaction]]
T = TypeVar("T")
# What a webhook may change: the provider's state, from which of ours, to which, and what is said.
_FOLLOWED = {
    IntentStatus.CAPTURED: ([Status.AUTHORISED], Status.CAPTURED, Event.PAYMENT_CAPTURED),
    IntentStatus.CANCELLED: ([Status.AUTHORISED, Status.CANCELLING], Status.CANCELLED, Event.PAYMENT_CANCELLED),
}
_REASONS = {Status.CANCELLED: "cancelled at the provider"}
_CAN_CANCEL = (Status.STARTED, Status.AUTHORISED, Status.DECLINED, Status.CANCELLING)


@dataclass(frozen=True, slots=True)
class Handlers:
    """The commands of the saga; ``transactions`` opens one for a message's claim."""

    processor: Processor

    async def authorise(self, message: SagaMessage, transactions: Transactions) -> Outcome:
        """Reserve the money on the card. A cancelled payment is refused (tombstone), a declined card is decided."""
        async with transactions() as tx:
            payment = await tx.store.start(_new(message, Status.STARTED))
            earlier = _decided(payment)
            if earlier:
                await tx.decide(earlier)
                return earlier
        intent_id = await self._intent(payment, transactions)
        intent = await _known(self.processor.confirm(payment, intent_id))
        async with transactions() as tx:
            if intent.status in (IntentStatus.AUTHORISED, IntentStatus.CAPTURED):
                if await tx.store.move(payment, [Status.STARTED], Status.AUTHORISED):
                    await tx.say(Event.PAYMENT_AUTHORISED, payment)
            elif intent.status in (IntentStatus.DECLINED, IntentStatus.CANCELLED):
                reason = intent.reason or f"{intent.status.value} at the provider"
                await tx.store.move(payment, [Status.STARTED], Status.DECLINED, reason=reason)
            now = await tx.store.payment(payment.order_id, payment.attempt)
            outcome = _decided(now) if now else None
            if outcome is None:
                raise Retry(Failure.TRANSIENT, f"the provider says {intent.status.value} after a confirmation")
            await tx.decide(outcome)
            return outcome

    async def capture(self, message: SagaMessage, transactions: Transactions) -> Outcome:
        """Take the money: the pivot of the saga. `Payment.Declined` only when provably nothing was taken."""
        async with transactions() as tx:
            payment = await tx.store.payment(uuid.UUID(message.order_id), message.attempt)
            if payment is None or payment.status is not Status.AUTHORISED:
                outcome = _capture_outcome(payment, message)
                await tx.decide(outcome)
                return outcome
        assert payment.intent_id is not None, "an authorised payment has its intent: see attach"
        intent = await _known(self.processor.capture(payment, payment.intent_id))
        async with transactions() as tx:
            if intent.status is IntentStatus.CAPTURED:
                if await tx.store.move(payment, [Status.AUTHORISED, Status.CANCELLING], Status.CAPTURED):
                    await tx.say(Event.PAYMENT_CAPTURED, payment)
            elif intent.status is IntentStatus.CANCELLED:
                await tx.store.move(
                    payment, [Status.AUTHORISED], Status.CANCELLED, reason="the authorisation has ended"
                )
            now = await tx.store.payment(payment.order_id, payment.attempt)
            if now is None or now.status is Status.AUTHORISED:
                raise Retry(Failure.PAYMENT_UNKNOWN, f"the provider says {intent.status.value} after a capture")
            outcome = _capture_outcome(now, message)
            await tx.decide(outcome)
            return outcome

    async def cancel(self, message: SagaMessage, transactions: Transactions) -> Outcome:
        """Compensation of authorise; nothing to undo is fine, and leaves a cancelled payment as a tombstone."""
        async with transactions() as tx:
            payment = await tx.store.start(_new(message, Status.CANCELLED))
            if not await tx.store.move(payment, _CAN_CANCEL, Status.CANCELLING):
                payment = await tx.store.payment(payment.order_id, payment.attempt) or payment
                if payment.status in (Status.CAPTURED, Status.REFUNDED):
                    outcome = Outcome(error=Failure.REFUSED, cause=f"payment {payment.id} is {payment.status.value}")
                else:
                    outcome = Outcome({"paymentId": payment.id})
                await tx.decide(outcome)
                return outcome
        # A lost answer to `create` may have left an intent: asking again with the same key finds it.
        intent_id = await self._intent(payment, transactions)
        intent = await _known(self.processor.cancel(payment, intent_id))
        async with transactions() as tx:
            if intent.status is IntentStatus.CAPTURED:
                await tx.store.move(payment, [Status.CANCELLING], Status.CAPTURED)
                outcome = Outcome(error=Failure.REFUSED, cause=f"payment {payment.id} is captured; refund it")
            elif intent.status is IntentStatus.CANCELLED:
                if await tx.store.move(payment, [Status.CANCELLING], Status.CANCELLED):
                    await tx.say(Event.PAYMENT_CANCELLED, payment)
                outcome = Outcome({"paymentId": payment.id})
            else:
                raise Retry(Failure.TRANSIENT, f"the provider says {intent.status.value} after a cancellation")
            await tx.decide(outcome)
            return outcome

    async def refund(self, message: SagaMessage, transactions: Transactions) -> Outcome:
        """Compensation after the pivot: all of the money back. Nothing captured is nothing to refund."""
        async with transactions() as tx:
            payment = await tx.store.payment(uuid.UUID(message.order_id), message.attempt)
            if payment is None or payment.status is not Status.CAPTURED:
                outcome = Outcome({"refundId": payment.refund_id if payment else None})
                await tx.decide(outcome)
                return outcome
        assert payment.intent_id is not None, "a captured payment has its intent: see attach"
        refund_id = await _known(self.processor.refund(payment, payment.intent_id))
        async with transactions() as tx:
            if await tx.store.move(payment, [Status.CAPTURED], Status.REFUNDED, refund_id=refund_id):
                await tx.say(Event.PAYMENT_REFUNDED, payment)
            outcome = Outcome({"refundId": refund_id})
            await tx.decide(outcome)
            return outcome

    async def _intent(self, payment: Payment, transactions: Transactions) -> str:
        if payment.intent_id:
            return payment.intent_id
        intent = await _known(self.processor.create(payment))
        async with transactions() as tx:
            await tx.store.attach(payment, intent.id)
        return intent.id


async def reconcile(processor: Processor, transactions: Transactions, intent_id: str) -> None:
    """Follow the provider's present truth after a webhook, whatever its order or age.

    Idempotency: the payment's status. Retries: the webhook stays unprocessed until this returns. An authorisation is
    left to the
    saga, which is waiting for it; a capture whose answer was lost and an authorisation that has ended are not.
    """
    intent = await processor.fetch(intent_id)
    try:
        order_id = uuid.UUID(intent.order_id)
    except ValueError:
        return  # not an intent of ours
    async with transactions() as tx:
        payment = await tx.store.payment(order_id, intent.attempt)
        if payment is None:
            return
        await tx.store.attach(payment, intent.id)
        if intent.status in _FOLLOWED:
            ours, to, event = _FOLLOWED[intent.status]
            if await tx.store.move(payment, ours, to, reason=_REASONS.get(to)):
                await tx.say(event, payment)


def _new(message: SagaMessage, status: Status) -> Payment:
    terms = message.input
    return Payment(
        order_id=uuid.UUID(message.order_id),
        attempt=message.attempt,
        buyer_id=terms.buyer_id,
        amount=terms.amount,
        currency=terms.currency,
        payment_method=terms.payment_method,
        status=status,
        intent_id=None,
        refund_id=None,
        reason=None,
        created_at=datetime.now(UTC),
    )


def _decided(payment: Payment) -> Outcome | None:
    """What an authorisation came to, None while it is open."""
    if payment.status is Status.STARTED:
        return None
    if payment.status in (Status.AUTHORISED, Status.CAPTURED):
        return Outcome({"paymentId": payment.id})
    if payment.status is Status.DECLINED:
        return Outcome(error=Failure.PAYMENT_DECLINED, cause=payment.reason or "declined")
    return Outcome(error=Failure.REFUSED, cause=f"payment {payment.id} is {payment.status.value}")


def _capture_outcome(payment: Payment | None, message: SagaMessage) -> Outcome:
    if payment is None or payment.status is Status.STARTED:
        raise Retry(Failure.TRANSIENT, f"order {message.order_id} has no authorised payment yet")
    if payment.status is Status.CAPTURED:
        return Outcome({"paymentId": payment.id})
    if payment.status is Status.CANCELLED and payment.reason:
        return Outcome(error=Failure.PAYMENT_DECLINED, cause=payment.reason)
    return Outcome(error=Failure.REFUSED, cause=f"payment {payment.id} is {payment.status.value}")


async def _known(call: Awaitable[T]) -> T:
    try:
        return await call
    except Unknown as error:
        raise Retry(Failure.PAYMENT_UNKNOWN, str(error)) from error
