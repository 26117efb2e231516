"""The use cases of payment. No call to the provider is ever made inside a transaction.

Idempotency key of all: the order and the attempt. Retries: the state machine's, with the same provider key. All fail
closed: an unknown outcome is never taken for a refusal.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from services.common.inbox import Outcome
from services.common.saga_worker import Parked, Retry
from services.contracts import Event, Failure, SagaMessage
from services.payment import moves, refunding
from services.payment.domain import ACTION_TIMEOUT, IntentStatus, Payment, RefundStatus, Status, fee_of
from services.payment.ports import Processor, Transactions, Unavailable, Unknown

T = TypeVar("T")
_CAN_CANCEL = (Status.STARTED, Status.ACTION_REQUIRED, Status.AUTHORISED, Status.DECLINED, Status.CANCELLING)


@dataclass(frozen=True, slots=True)
class Handlers:
    """The commands of the saga; ``transactions`` opens one for a message's claim."""

    processor: Processor
    fee_basis_points: int = 0

    async def authorise(self, message: SagaMessage, transactions: Transactions) -> Outcome:
        """Reserve the money on the card. A cancelled payment is refused (tombstone), a declined card is decided.

        Raises Parked while the buyer's bank wants to hear from the buyer; whoever asks again looks the intent up.
        """
        async with transactions() as tx:
            payment = await tx.store.start(self._new(message, Status.STARTED))
            earlier = _decided(payment)
            if earlier:
                await tx.decide(earlier)
                return earlier
        intent_id = await self._intent(payment, transactions)
        if payment.status is Status.ACTION_REQUIRED:
            found = await _known(self.processor.fetch(intent_id))
            await _known(moves.follow_action(self.processor, transactions, payment, found))
            return await self._authorised(message, transactions)
        intent = await _known(self.processor.confirm(payment, intent_id))
        async with transactions() as tx:
            if intent.status in (IntentStatus.AUTHORISED, IntentStatus.CAPTURED):
                await moves.authorised(tx, payment)
            elif intent.status is IntentStatus.ACTION_REQUIRED:
                deadline = datetime.now(UTC) + ACTION_TIMEOUT
                if await tx.store.await_action(payment, intent.client_secret, deadline):
                    await tx.say(Event.PAYMENT_ACTION_REQUIRED, payment)
            elif intent.status in (IntentStatus.DECLINED, IntentStatus.CANCELLED):
                reason = intent.reason or f"{intent.status.value} at the provider"
                await tx.store.move(payment, [Status.STARTED], Status.DECLINED, reason=reason)
        return await self._authorised(message, transactions)

    async def _authorised(self, message: SagaMessage, transactions: Transactions) -> Outcome:
        """Decide an authorisation by what the payment is now."""
        async with transactions() as tx:
            now = await tx.store.payment(uuid.UUID(message.order_id), message.attempt)
            outcome = _decided(now) if now else None
            if outcome is None:
                if now and now.status is Status.ACTION_REQUIRED:
                    raise Parked(f"payment {now.id} waits for the buyer")
                raise Retry(Failure.TRANSIENT, "the provider has not said what became of a confirmation")
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
                await moves.captured(tx, payment)
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
            payment = await tx.store.start(self._new(message, Status.CANCELLED))
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
                await moves.captured(tx, payment)
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
        """Compensation after the pivot: all that is left of the money back. Nothing captured is nothing to refund.

        Undecided while a dispute is open, because the bank may be paying the buyer back already.
        """
        async with transactions() as tx:
            payment = await tx.store.lock(uuid.UUID(message.order_id), message.attempt)
            refund = await refunding.of_saga(tx, payment) if payment else None
            if payment is None or refund is None or refund.status is RefundStatus.SUCCEEDED:
                outcome = Outcome({"refundId": str(refund.id) if refund else None})
                await tx.decide(outcome)
                return outcome
        assert payment.intent_id is not None, "a captured payment has its intent: see attach"
        answer = await _known(refunding.carry_out(self.processor, refund, payment.intent_id))
        async with transactions() as tx:
            await moves.refund_followed(tx, refund, answer)
            if answer.status is not RefundStatus.FAILED:
                await tx.decide(Outcome({"refundId": str(refund.id)}))
        if answer.status is RefundStatus.FAILED:
            raise Retry(Failure.TRANSIENT, f"refund {refund.id} has failed: {answer.failure}")
        return Outcome({"refundId": str(refund.id)})

    async def _intent(self, payment: Payment, transactions: Transactions) -> str:
        if payment.intent_id:
            return payment.intent_id
        intent = await _known(self.processor.create(payment))
        async with transactions() as tx:
            await tx.store.attach(payment, intent.id)
        return intent.id

    def _new(self, message: SagaMessage, status: Status) -> Payment:
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
            fee=fee_of(terms.amount, self.fee_basis_points),
        )


def _decided(payment: Payment) -> Outcome | None:
    """What an authorisation came to, None while it is open."""
    if payment.status in (Status.STARTED, Status.ACTION_REQUIRED):
        return None
    if payment.status in (Status.AUTHORISED, Status.CAPTURED):
        return Outcome({"paymentId": payment.id})
    if payment.status is Status.DECLINED:
        return Outcome(error=Failure.PAYMENT_DECLINED, cause=payment.reason or "declined")
    return Outcome(error=Failure.REFUSED, cause=f"payment {payment.id} is {payment.status.value}")


def _capture_outcome(payment: Payment | None, message: SagaMessage) -> Outcome:
    if payment is None or payment.status in (Status.STARTED, Status.ACTION_REQUIRED):
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
    except Unavailable as error:
        raise Retry(Failure.TRANSIENT, str(error)) from error
