"""What the use cases of booking need from outside: a store within a transaction, and a voice within the same one."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from services.booking.domain import Hold, Order, OrderStatus
from services.contracts import Event


class Voice(Protocol):
    """The outbox: what is said if the transaction commits."""

    async def add(self, destination: str, topic: str, payload: Mapping[str, Any]) -> uuid.UUID:
        """Say something to ``destination``."""

    async def event(self, event: Event, **ids: str) -> uuid.UUID:
        """Announce an event."""


class Store(Protocol):
    """Booking's state, seen and changed within one transaction. Every change is a compare-and-set."""

    async def add_event(self, organiser_id: str, name: str, starts_at: datetime) -> uuid.UUID:
        """Create an event."""

    async def add_ticket_type(
        self, event_id: uuid.UUID, name: str, price: int, currency: str, capacity: int
    ) -> uuid.UUID:
        """Create a ticket type with its capacity; ``price`` in minor units."""

    async def organiser_of(self, event_id: uuid.UUID) -> str | None:
        """The owner of an event, None when there is no such event."""

    async def place_order(
        self, order_id: uuid.UUID, hold_id: uuid.UUID, buyer_id: str, payment_method: str, seconds: int
    ) -> Order | None:
        """Bind a live hold of the buyer to a new order, and keep it for ``seconds`` at least; None when it cannot
        be.
        """

    async def lock(self, order_id: uuid.UUID) -> Order | None:
        """An order, which no other transaction changes until this one ends."""

    async def move_order(self, order_id: uuid.UUID, expected: Sequence[OrderStatus], to: OrderStatus) -> bool:
        """Compare-and-set of the status, with its line in the audit; False when the status was another."""

    async def hold(self, hold_id: uuid.UUID) -> Hold | None:
        """A hold."""

    async def confirm_hold(self, hold_id: uuid.UUID) -> bool:
        """Active and not expired to confirmed, capacity from held to sold; False when it was not so."""

    async def release_hold(self, hold_id: uuid.UUID) -> bool:
        """Active or confirmed to released, capacity given back; False when there was nothing to give back."""

    async def issue(self, order: Order, codes: Mapping[uuid.UUID, str]) -> None:
        """Write the tickets of an order, numbered in the order given; what exists already stays."""

    async def void_tickets(self, order_id: uuid.UUID) -> None:
        """Make the tickets of an order worthless."""
