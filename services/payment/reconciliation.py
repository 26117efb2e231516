"""The comparison of our books with the provider's, for a window of time: pure but for the provider's look-ups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.payment.domain import Intent, IntentStatus, Payment, ProviderRefund, Refund, RefundStatus, Status
from services.payment.ports import Missing, Processor

# What the provider may say of a payment that is in this state and at rest.
_AGREEING = {
    Status.STARTED: {IntentStatus.UNCONFIRMED, IntentStatus.DECLINED, IntentStatus.CANCELLED},
    Status.ACTION_REQUIRED: {IntentStatus.ACTION_REQUIRED},
    Status.AUTHORISED: {IntentStatus.AUTHORISED},
    Status.CAPTURED: {IntentStatus.CAPTURED},
    Status.REFUNDED: {IntentStatus.CAPTURED},
    Status.DECLINED: {IntentStatus.DECLINED, IntentStatus.CANCELLED},
    Status.CANCELLING: {IntentStatus.CANCELLED},
    Status.CANCELLED: {IntentStatus.CANCELLED},
}


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """``kind``: missing_here, missing_there, amount, status or ledger; both sides in words."""

    subject: str
    kind: str
    ours: str | None = None
    theirs: str | None = None


def payment_differs(payment: Payment, intent: Intent) -> Iterator[Discrepancy]:
    """Where a payment and its intent disagree."""
    if payment.amount != intent.amount:
        yield Discrepancy(intent.id, "amount", str(payment.amount), str(intent.amount))
    if intent.status not in _AGREEING[payment.status]:
        yield Discrepancy(intent.id, "status", payment.status.value, intent.status.value)


def refund_differs(refund: Refund, theirs: ProviderRefund) -> Iterator[Discrepancy]:
    """Where a refund disagrees with the provider's."""
    if refund.amount != theirs.amount:
        yield Discrepancy(str(theirs.id), "amount", str(refund.amount), str(theirs.amount))
    if refund.status is not theirs.status:
        yield Discrepancy(str(theirs.id), "status", refund.status.value, theirs.status.value)


async def payments_differ(
    processor: Processor, ours: Sequence[Payment], since: datetime, until: datetime
) -> list[Discrepancy]:
    """The payments of a window. ``ours`` are those that were made in it or whose intents may have been."""
    by_id = {(str(payment.order_id), payment.attempt): payment for payment in ours}
    found: list[Discrepancy] = []
    seen: set[str] = set()
    async for intent in processor.intents(since, until):
        if not intent.order_id:
            continue  # somebody else's use of the account
        payment = by_id.get((intent.order_id, intent.attempt))
        seen.add(intent.id)
        if payment is None or payment.intent_id not in (None, intent.id):
            found.append(Discrepancy(intent.id, "missing_here", None, intent.status.value))
        else:
            found += payment_differs(payment, intent)
    for payment in ours:
        if payment.intent_id and payment.intent_id not in seen and since <= payment.created_at < until:
            try:
                found += payment_differs(payment, await processor.fetch(payment.intent_id))
            except Missing:
                found.append(Discrepancy(payment.intent_id, "missing_there", payment.status.value, None))
    return found


async def refunds_differ(
    processor: Processor, ours: Sequence[tuple[Refund, str]], since: datetime, until: datetime
) -> list[Discrepancy]:
    """The refunds of a window. ``ours``, each with its intent, are those that may have been made in it."""
    by_id = {key: refund for refund, _ in ours for key in (str(refund.id), refund.provider_id) if key}
    found: list[Discrepancy] = []
    seen: set[str] = set()
    async for theirs in processor.refunds(since, until):
        refund = by_id.get(str(theirs.refund_id)) or by_id.get(str(theirs.id))
        if refund is None:
            found.append(Discrepancy(str(theirs.id), "missing_here", None, theirs.status.value))
        else:
            seen.add(str(refund.id))
            found += refund_differs(refund, theirs)
    for refund, intent_id in ours:
        known = refund.status is not RefundStatus.FAILED and since <= refund.requested_at < until
        if known and str(refund.id) not in seen:
            made = await processor.refunds_of(intent_id)
            match = next((m for m in made if m.refund_id == refund.id or m.id == refund.provider_id), None)
            missing = Discrepancy(str(refund.id), "missing_there", refund.status.value)
            found += refund_differs(refund, match) if match else [missing]
    return found
