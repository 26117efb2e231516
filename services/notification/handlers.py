"""The use cases of notification.

They fail open: an order is good whether or not its buyer could be told, so nothing here ever compensates.
"""

from __future__ import annotations

from services.common.inbox import Claim, Outcome
from services.contracts import EventMessage, SagaMessage
from services.notification.domain import COMPLETED, WORKFLOWS, Delivery
from services.notification.ports import Notifier, Store


async def send(store: Store, notifier: Notifier, message: SagaMessage, claim: Claim) -> Outcome:
    """The saga's last step: tell the buyer that the order is complete.

    Idempotency: the delivery's row, and Novu's transactionId for what a crash between the two repeats. Retries: the
    state machine's.
    """
    delivery = Delivery(COMPLETED, message.input.buyer_id, message.order_id)
    outcome = Outcome({"transactionId": delivery.transaction_id})
    await _deliver(store, notifier, delivery, claim, outcome)
    return outcome


async def on_event(store: Store, notifier: Notifier, event: EventMessage) -> None:
    """Record an event in its buyer's feed, and tell the buyer of a cancellation.

    Idempotency: the inbox (event id), the delivery's row, Novu's transactionId. Retries: the queue's, then the dead
    letters.
    """
    workflow = WORKFLOWS.get(event.type)
    if workflow is not None:
        delivery = Delivery(workflow, event.ids["buyerId"], event.ids["orderId"])
        await _deliver(store, notifier, delivery, None, Outcome())
    # Last, because it writes the inbox row: an event is received once everything that it asks for is done.
    await store.record(event)


async def _deliver(store: Store, notifier: Notifier, delivery: Delivery, claim: Claim | None, outcome: Outcome) -> None:
    if await store.open(delivery):
        await notifier.trigger(delivery)
    await store.sent(delivery, claim, outcome)
