"""What the use cases of notification need from outside."""

from __future__ import annotations

from typing import Protocol

from services.common.inbox import Claim, Outcome
from services.contracts import EventMessage
from services.notification.domain import Delivery


class Notifier(Protocol):
    """Delivers notifications; must drop what it has seen under the same transaction id, as far as it can."""

    async def trigger(self, delivery: Delivery) -> None:
        """Hand ``delivery`` over, or raise."""


class Store(Protocol):
    """Notification's state. Each method is one transaction of its own."""

    async def open(self, delivery: Delivery) -> bool:
        """Write the delivery unless it exists; False when it was sent already."""

    async def sent(self, delivery: Delivery, claim: Claim | None, outcome: Outcome) -> None:
        """Mark it as sent, and decide the command in the same transaction."""

    async def record(self, event: EventMessage) -> bool:
        """Put an event into its buyer's feed, with its inbox row; False when it was there."""
