"""The follow-up of webhooks: the provider's present truth, whatever the order or the age of what told of it.

Idempotency: what our own rows say already. Retries: a webhook stays unprocessed until this returns. Fails open: a
webhook that never comes is made up for by the saga's look-ups and by the reconciliation.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection

from services.payment import moves, refunding
from services.payment.domain import Status
from services.payment.ports import Missing, Processor, Transactions


async def follow_intent(
    processor: Processor, transactions: Transactions, intent_id: str, kinds: Collection[str] = ()
) -> None:
    """Follow an intent, and its refunds and disputes when an event of ``kinds`` tells of one."""
    try:
        intent = await processor.fetch(intent_id)
        order_id = uuid.UUID(intent.order_id)
    except (Missing, ValueError):
        return  # not an intent of ours
    async with transactions() as tx:
        payment = await tx.store.payment(order_id, intent.attempt)
        if payment is None:
            return
        await tx.store.attach(payment, intent.id)
    if payment.status is Status.ACTION_REQUIRED:
        await moves.follow_action(processor, transactions, payment, intent)
    refunds = await processor.refunds_of(intent_id) if any("refund" in kind for kind in kinds) else ()
    disputes = await processor.disputes_of(intent_id) if any("dispute" in kind for kind in kinds) else ()
    async with transactions() as tx:
        await moves.intent_followed(tx, payment, intent)
        locked = await tx.store.lock(payment.order_id, payment.attempt) if refunds or disputes else None
        if locked is None:
            return
        for refund in refunds:
            await refunding.adopt(tx, locked, refund)
        for dispute in disputes:
            await moves.dispute_followed(tx, locked, dispute)


async def follow_payout(processor: Processor, transactions: Transactions, payout_id: str) -> None:
    """Follow a transfer or a payout."""
    try:
        payout = await processor.payout(payout_id)
    except Missing:
        return
    async with transactions() as tx:
        await moves.payout_followed(tx, payout)
