"""The rules of notification, without any input or output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from services.contracts import Event

CONSUMER: Final = "notification"
QUEUE: Final = "notification.events"
TOPICS: Final = ("order.*", "ticket.*")
COMPLETED: Final = "order-completed"
# Workflows triggered by events; `order-completed` is triggered by the saga's own last step.
WORKFLOWS: Final = {Event.ORDER_CANCELLED: "order-cancelled"}


@dataclass(frozen=True, slots=True)
class Delivery:
    """One notification to one subscriber; ``payload`` has ids alone, templates fetch the rest."""

    workflow: str
    subscriber_id: str
    order_id: str

    @property
    def transaction_id(self) -> str:
        """The same for every attempt to tell this buyer this about this order, in every process."""
        return f"{self.workflow}:{self.order_id}"

    @property
    def payload(self) -> dict[str, str]:
        """What the workflow's template receives."""
        return {"orderId": self.order_id}
