"""What the provider's truth changes here: status, ledger and events of one move, in one transaction."""

from __future__ import annotations

from datetime import UTC, datetime

from services.contracts import Event
from services.payment import ledger
from services.payment.domain import (
    EXPIRED,
    Dispute,
    Intent,
    IntentStatus,
    Payment,
    Payout,
    ProviderRefund,
    Refund,
    RefundStatus,
    Status,
)
from services.payment.ledger import Account
from services.payment.ports import Processor, Transaction, Transactions

_OPEN = (Status.STARTED, Status.ACTION_REQUIRED)
_UNCAPTURED = (Status.ACTION_REQUIRED, Status.AUTHORISED, Status.CANCELLING)


async def authorised(tx: Transaction, payment: Payment) -> None:
    """The money is reserved."""
    if await tx.store.move(payment, _OPEN, Status.AUTHORISED):
        await tx.say(Event.PAYMENT_AUTHORISED, payment)


async def captured(tx: Transaction, payment: Payment) -> None:
    """The money was taken."""
    if await tx.store.move(payment, _UNCAPTURED, Status.CAPTURED):
        await tx.ledger.post(ledger.captured(payment))
        await tx.say(Event.PAYMENT_CAPTURED, payment)


async def follow_action(processor: Processor, transactions: Transactions, payment: Payment, intent: Intent) -> None:
    """What became of the buyer's authentication: authorised, declined, or still open.

    An intent that failed, or is late, is cancelled first: its buyer has the client secret, and could authorise it when
    the seats are sold to somebody else.
    """
    late = payment.action_deadline is not None and datetime.now(UTC) >= payment.action_deadline
    failed = intent.status is IntentStatus.DECLINED
    if failed or (late and intent.status in (IntentStatus.ACTION_REQUIRED, IntentStatus.UNCONFIRMED)):
        reason = intent.reason or "declined" if failed else EXPIRED
        ended = await processor.cancel(payment, intent.id)
    else:
        reason, ended = "cancelled at the provider", intent
    async with transactions() as tx:
        if ended.status is IntentStatus.AUTHORISED:
            await authorised(tx, payment)
        elif ended.status is IntentStatus.CAPTURED:
            await captured(tx, payment)
        elif ended.status is IntentStatus.CANCELLED:
            await tx.store.move(payment, [Status.ACTION_REQUIRED], Status.DECLINED, reason=reason)


async def intent_followed(tx: Transaction, payment: Payment, intent: Intent) -> None:
    """A capture whose answer was lost, or an authorisation that has ended. Another is left to the saga that waits."""
    if intent.status is IntentStatus.CAPTURED:
        await captured(tx, payment)
    elif intent.status is IntentStatus.CANCELLED and await tx.store.move(
        payment, [Status.AUTHORISED, Status.CANCELLING], Status.CANCELLED, reason="cancelled at the provider"
    ):
        await tx.say(Event.PAYMENT_CANCELLED, payment)


async def refund_followed(tx: Transaction, refund: Refund, answer: ProviderRefund) -> None:
    """How a refund ended; also one that had succeeded and failed later, which is final at the provider."""
    payment = await tx.store.lock(refund.order_id, refund.attempt)
    now = await tx.refunds.get(refund.id)
    if payment is None or now is None:
        return
    if now.status is RefundStatus.FAILED and now.provider_id is not None:
        return
    if now.status is RefundStatus.SUCCEEDED and answer.status is not RefundStatus.FAILED:
        return
    await tx.refunds.move(now, answer.status, provider_id=answer.id, failure=answer.failure)
    if now.status is answer.status:
        return
    ids = {"refundId": str(now.id), "amount": str(now.amount)}
    if answer.status is RefundStatus.SUCCEEDED:
        await _refunded(tx, payment, now, answer)
        await tx.say(Event.PAYMENT_REFUNDED, payment, **ids)
    elif answer.status is RefundStatus.FAILED:
        posted = await tx.ledger.posted(f"refund:{now.id}")
        if posted:
            await tx.ledger.post(ledger.refund_failed(payment, now, posted))
            await tx.store.move(payment, [Status.REFUNDED], Status.CAPTURED)
        await tx.say(Event.PAYMENT_REFUND_FAILED, payment, **ids)


async def _refunded(tx: Transaction, payment: Payment, refund: Refund, answer: ProviderRefund) -> None:
    before = sum(
        each.amount
        for each in await tx.refunds.of(payment)
        if each.status is RefundStatus.SUCCEEDED and each.id != refund.id
    )
    fee_returned = payment.fee + await tx.ledger.balance(payment, Account.FEE)
    await tx.ledger.post(ledger.refunded(payment, refund, before=before, fee_returned=fee_returned))
    if before + refund.amount >= payment.amount:
        await tx.store.move(payment, [Status.CAPTURED], Status.REFUNDED, refund_id=answer.id)


async def dispute_followed(tx: Transaction, payment: Payment, dispute: Dispute) -> None:
    """A dispute was opened, has changed, or is settled."""
    if not await tx.disputes.follow(payment, dispute):
        return
    if dispute.withdrawn:
        await tx.ledger.post(ledger.dispute_opened(payment, dispute))
    if dispute.status in ("won", "prevented"):
        await tx.ledger.post(ledger.dispute_won(payment, dispute))
    elif dispute.status == "lost":
        await tx.ledger.post(ledger.dispute_lost(payment, dispute))
    await tx.say(
        Event.PAYMENT_DISPUTED, payment, disputeId=dispute.id, amount=str(dispute.amount), status=dispute.status
    )


async def payout_followed(tx: Transaction, payout: Payout) -> None:
    """A transfer to an organiser, or a payout to the bank, as far as it moved money."""
    before = await tx.payouts.follow(payout)
    if payout.kind == "transfer":
        await tx.ledger.post(ledger.transferred(payout))
        if payout.reversed > before:
            await tx.ledger.post(ledger.transfer_reversed(payout, before))
    elif payout.status == "paid":
        await tx.ledger.post(ledger.paid_out(payout))
    elif payout.status == "failed" and await tx.ledger.posted(f"payout:{payout.id}"):
        await tx.ledger.post(ledger.payout_failed(payout))
