"""The use cases of erasure: everything of a person is removed here at once, and at Novu as soon as it answers."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter

from services.common import logs
from services.contracts import EventMessage
from services.notification.ports import Erasures, Notifier

log = logs.get(__name__)

EVERY_SECONDS: Final = 5.0

TOLD = Counter(
    "notification_erasures_total", "People who were to be removed at Novu, by what became of it", ["outcome"]
)


async def erase(erasures: Erasures, event: EventMessage) -> None:
    """`buyer.erased`: remove the person's wishes, feed and messages, and write down that Novu has to be told.

    Idempotency: the event's id, and the person. Retries: the queue's, then the dead letters. What arrives later about
    the person is dropped.
    """
    await erasures.erase(event.id, event.ids["buyerId"])


async def tell(erasures: Erasures, notifier: Notifier) -> int:
    """Remove from Novu those who are due; returns how many were tried.

    Idempotency: the person; whom Novu does not know is removed. Retries: for ever, with a growing pause: it is
    somebody's right, and the metric shows one that fails.
    """
    due = await erasures.due()
    for person in due:
        try:
            await notifier.erase(person)
        except Exception as error:  # whatever it is, it is tried again
            TOLD.labels("failed").inc()
            log.warning("not erased at Novu", error=error)
            continue
        await erasures.told(person)
        TOLD.labels("erased").inc()
    return len(due)
