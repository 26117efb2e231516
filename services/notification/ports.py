"""What the use cases of notification need from outside."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from services.common.inbox import Claim, Outcome
from services.contracts import EventMessage
from services.notification.domain import Delivery, Report, Status
from services.notification.preferences import Locale, Preferences
from services.notification.workflows.model import Channel, Workflow

Content = Mapping[Channel, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Message:
    """A delivery as it is handed to Novu: rendered, for the channels that its ``content`` has."""

    transaction_id: str
    workflow: str
    subscriber_id: str
    preferences: Preferences
    ids: Mapping[str, str]
    content: Content


class Notifier(Protocol):
    """Delivers notifications; must drop what it has seen under the same transaction id, as far as it can."""

    async def trigger(self, message: Message) -> None:
        """Hand ``message`` over, or raise."""

    async def erase(self, subscriber_id: str) -> None:
        """Remove a subscriber with all that belongs to him, or raise; nobody of that id is fine."""


class Renderer(Protocol):
    """Writes what a workflow says."""

    def render(
        self, workflow: Workflow, locale: Locale, channels: Iterable[Channel], payloads: Sequence[Mapping[str, str]]
    ) -> Content:
        """The content for each of ``channels``; several ``payloads`` are a digest."""


@dataclass(frozen=True, slots=True)
class Leased:
    """A delivery that this process may send until its lease ends, with what its digest gathered (its own first)."""

    transaction_id: str
    workflow: str
    subscriber_id: str
    payloads: Sequence[Mapping[str, str]]
    attempt: int
    token: uuid.UUID


class Queue(Protocol):
    """The deliveries that wait. Each method is one transaction; those that take a Leased change nothing when its lease
    was lost, and say so with False.
    """

    async def lease(self, limit: int) -> list[Leased]:
        """The deliveries that are due, first the most important, then the longest due; nobody else gets them."""

    async def sent(self, leased: Leased, channels: Sequence[Channel]) -> bool:
        """It was handed over; reports that came before decide its status."""

    async def later(self, leased: Leased, seconds: float, reason: str, *, tried: bool) -> bool:
        """It waits again; an attempt that called nobody (``tried`` is False) does not count."""

    async def close(self, leased: Leased, status: Status, reason: str) -> bool:
        """It ends without having been sent."""


class Erasures(Protocol):
    """Who is to be erased. Each method is one transaction."""

    async def erase(self, message_id: str, person: str) -> bool:
        """Remove what there is of a person, and remember to tell Novu; False when it was done."""

    async def due(self) -> Sequence[str]:
        """Some of whom Novu can be told now; they come back later, and ever more rarely, until they are `told`."""

    async def told(self, person: str) -> None:
        """Novu has removed the person."""


class Limits(Protocol):
    """Rate limits that all processes share."""

    async def take(self, channels: Iterable[Channel]) -> bool:
        """Whether one more message may go by all of ``channels`` now."""


class Subscribers(Protocol):
    """What subscribers want."""

    async def preferences(self, subscriber_id: str) -> Preferences:
        """Their settings, or the defaults."""

    async def save(self, subscriber_id: str, preferences: Preferences) -> None:
        """Replace them. Raises Problem 409 for somebody who was erased."""


class Store(Protocol):
    """The rest of notification's state. Each method is one transaction."""

    async def queue(self, deliveries: Sequence[Delivery]) -> int:
        """Queue those that are new, a digestible one into its open digest; returns how many were."""

    async def queue_for(self, delivery: Delivery, claim: Claim, outcome: Outcome) -> None:
        """Queue it, and decide the command in the same transaction."""

    async def record(self, event: EventMessage, deliveries: Sequence[Delivery]) -> bool:
        """Put an event into the feeds of whom it concerns and queue what tells of it, with its inbox row; False when
        it was there.
        """

    async def report(self, message_id: str, transaction_id: str, channel: Channel, report: Report) -> bool:
        """Keep what a provider says, with its inbox row; False when it was there or is of nothing known."""

    async def requeue(self, transaction_id: str) -> Status | None:
        """Put a dead delivery back; returns its status, or None when it does not exist."""

    async def dead(self, limit: int) -> list[dict[str, Any]]:
        """The deliveries that were given up, the latest first."""

    async def feed(self, subscriber_id: str, limit: int) -> list[dict[str, Any]]:
        """The newest entries of a subscriber's feed, each with the status of its delivery."""
