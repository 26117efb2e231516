"""The use cases of notification.

They fail open: an order is good whether or not its buyer could be told, so nothing here ever compensates. What is to be
said is durably queued; `sending` sends it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from services.common import logs
from services.common.inbox import Claim, Outcome
from services.contracts import EventMessage, SagaMessage
from services.notification import workflows
from services.notification.domain import Delivery, Report, Status, delivery
from services.notification.ports import Store
from services.notification.workflows import marketing, tickets
from services.notification.workflows.model import Channel

log = logs.get(__name__)


async def send(store: Store, message: SagaMessage, claim: Claim) -> Outcome:
    """The saga's last step: queue the buyer's tickets.

    The step is done when the delivery is durably queued, which can be promised at once; when it is sent depends on
    Novu. Idempotency: the inbox, and the delivery's transaction id. Retries: the state machine's.
    """
    ids = {"orderId": message.order_id}
    told = Delivery(tickets.COMPLETED, message.input.buyer_id, message.order_id, ids)
    outcome = Outcome({"transactionId": told.transaction_id})
    await store.queue_for(told, claim, outcome)
    return outcome


async def on_event(store: Store, event: EventMessage) -> None:
    """Record an event in the feeds of whom it concerns, and queue what its workflows say of it.

    Idempotency: the inbox (event id), and each delivery's transaction id: what the saga queued already is not queued
    again. Retries: the queue's, then the dead letters. An event without an id that a template needs raises KeyError.
    """
    told = [made for workflow in workflows.of(event.type) if (made := delivery(workflow, event)) is not None]
    await store.record(event, told)


async def announce(store: Store, campaign: str, event_id: str, subscriber_ids: Sequence[str]) -> int:
    """Queue a marketing message to each subscriber; whoever did not opt in is left out when it is due.

    Idempotency: campaign and subscriber. Retries: the caller's. Returns how many were new.
    """
    ids = {"eventId": event_id}
    return await store.queue(
        [Delivery(marketing.DIGEST, each, f"{campaign}:{_unnamed(each)}", ids) for each in sorted(set(subscriber_ids))]
    )


def _unnamed(subscriber_id: str) -> str:
    """The id of a delivery is in logs, in webhooks and at Novu: it must not name a person."""
    return hashlib.sha256(subscriber_id.encode()).hexdigest()[:32]


async def on_report(store: Store, message_id: str, transaction_id: str, channel: Channel, report: Report) -> bool:
    """Keep what a provider says of a message on one channel.

    Idempotency: the webhook's message id; in whatever order reports arrive, the result is the same. Retries: Novu's.
    """
    new = await store.report(message_id, transaction_id, channel, report)
    # An id that we do not know may be anything that somebody sent.
    log.info("report", delivery=transaction_id if new else None, channel=channel, report=report, new=new)
    return new


async def requeue(store: Store, transaction_id: str) -> Status | None:
    """Put a dead delivery back into the queue; None when there is no such delivery.

    Idempotency: the delivery's status, so that a second call changes nothing. Novu drops what it had seen after all.
    """
    status = await store.requeue(transaction_id)
    if status is not None:
        log.info("requeued", delivery=transaction_id, status=status)
    return status
