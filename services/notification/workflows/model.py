"""What a workflow is: which event it tells of, to whom, on which channels, how soon."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from services.contracts import Event

PLATFORM = "platform"


class Channel(StrEnum):
    """A way to reach somebody; the names are Novu's step types."""

    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"
    IN_APP = "in_app"
    CHAT = "chat"


class Category(StrEnum):
    """What a message is for: the unit of people's preferences, and of priority in the queue, first to last."""

    TICKETS = "tickets"
    TRANSACTIONAL = "transactional"
    REMINDERS = "reminders"
    MARKETING = "marketing"

    @property
    def priority(self) -> int:
        """The lowest goes first."""
        return list(Category).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """One kind of message.

    ``recipient`` and ``subject`` name ids of the event: who is told, and what is told about at most once (without it,
    the event itself). ``needs`` are the ids that its templates use. ``critical`` ignores preferences and quiet hours.
    A ``digest`` window makes one message of all that one subscriber would hear within it.
    """

    name: str
    title: str
    event: Event | None
    category: Category
    channels: tuple[Channel, ...]
    recipient: str = "buyerId"
    otherwise: str | None = None
    subject: str = "orderId"
    needs: tuple[str, ...] = ("orderId",)
    critical: bool = False
    digest: timedelta | None = None

    @property
    def waits_for_quiet_hours(self) -> bool:
        """Not for tickets: who has just bought one is awake, and may stand before the door."""
        return not self.critical and self.category is not Category.TICKETS
