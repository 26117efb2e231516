"""The rules of notification, without any input or output."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from services.contracts import PRINTABLE, EventMessage
from services.notification.workflows.model import Channel, Workflow

CONSUMER: Final = "notification"
QUEUE: Final = "notification.events"
TOPICS: Final = (
    *("order.*", "ticket.*", "offer.made", "buyer.erased"),
    *("payment.action_required", "payment.refund_failed", "payment.disputed"),
)

# Seconds. Fifteen attempts take about seven hours: longer than Novu's incidents, short enough for a person to see.
FIRST_PAUSE, LONGEST_PAUSE, MOST_ATTEMPTS = 5.0, 3_600.0, 15

# A workflow's name and a subject: an id, or a campaign and a subscriber.
TransactionId = Annotated[str, Field(min_length=1, max_length=256, pattern=PRINTABLE)]


class Status(StrEnum):
    """Where a delivery is."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    SUPPRESSED = "suppressed"
    DEAD = "dead"


class Report(StrEnum):
    """What a provider says of a message on one channel; a later one outweighs an earlier one, in whatever order they
    arrive.
    """

    SENT = "sent"
    FAILED = "failed"
    DELIVERED = "delivered"

    @property
    def weight(self) -> int:
        """Delivered is final; a failure may follow a hand-over, and a retry of the provider may mend it."""
        return list(Report).index(self)


# A dead delivery may have reached Novu, with its answer lost: what Novu reports is true.
REPORTABLE: Final = (Status.SENT, Status.FAILED, Status.DEAD)


def reported(asked: Iterable[Channel], reports: Mapping[Channel, Report]) -> Status:
    """The status of a delivery that was triggered: delivered by any channel, failed when no channel is left."""
    if Report.DELIVERED in reports.values():
        return Status.DELIVERED
    wanted = set(asked) or set(reports)
    if wanted and all(reports.get(channel) is Report.FAILED for channel in wanted):
        return Status.FAILED
    return Status.SENT


def pause(attempt: int, chance: float) -> float:
    """Seconds until the next attempt after ``attempt`` (from 1): exponential, half of it by ``chance`` (0 to 1)."""
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (attempt - 1))
    return longest * (0.5 + chance / 2)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One notification to one subscriber; ``payload`` has ids alone."""

    workflow: Workflow
    subscriber_id: str
    subject: str
    payload: Mapping[str, str]

    @property
    def transaction_id(self) -> str:
        """The same for every attempt to tell this subscriber this about this subject, in every process."""
        return f"{self.workflow.name}:{self.subject}"


def delivery(workflow: Workflow, event: EventMessage) -> Delivery | None:
    """What ``workflow`` tells of ``event``, or None when the event names nobody to tell.

    Raises KeyError when the event lacks an id that the templates need.
    """
    recipient = event.ids.get(workflow.recipient, workflow.otherwise)
    if recipient is None:
        return None
    payload = {key: event.ids[key] for key in workflow.needs}
    return Delivery(workflow, recipient, event.ids.get(workflow.subject, event.id), payload)
