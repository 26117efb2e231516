"""The rules of booking, without any input or output."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

# How long a buyer may think, and how long an order's saga may take to confirm seats.
HOLD_SECONDS: Final = 600
CHECKOUT_SECONDS: Final = 900
MAX_QUANTITY: Final = 10
_NAMESPACE: Final = uuid.UUID("6f0a1a5e-5a0f-5f5b-9a53-2f0ad0d5c9c1")


class HoldStatus(StrEnum):
    """A hold counts against capacity while active (held) and confirmed (sold), and not in the other states."""

    ACTIVE = "active"
    CONFIRMED = "confirmed"
    RELEASED = "released"
    EXPIRED = "expired"


class OrderStatus(StrEnum):
    """The states of an order; `TRANSITIONS` has the moves."""

    PLACED = "placed"
    CONFIRMED = "confirmed"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    NEEDS_OPERATOR = "needs_operator"


TRANSITIONS: Final[dict[OrderStatus, frozenset[OrderStatus]]] = {
    OrderStatus.PLACED: frozenset({OrderStatus.CONFIRMED, OrderStatus.CANCELLED, OrderStatus.NEEDS_OPERATOR}),
    OrderStatus.CONFIRMED: frozenset({OrderStatus.COMPLETED, OrderStatus.CANCELLED, OrderStatus.NEEDS_OPERATOR}),
    OrderStatus.COMPLETED: frozenset(),
    OrderStatus.CANCELLED: frozenset(),
    # An operator redrives the saga forward, or cancels.
    OrderStatus.NEEDS_OPERATOR: frozenset({OrderStatus.CONFIRMED, OrderStatus.COMPLETED, OrderStatus.CANCELLED}),
}


def sources(target: OrderStatus) -> list[OrderStatus]:
    """The states from which an order may become ``target``: the expectation of a compare-and-set."""
    return [state for state, targets in TRANSITIONS.items() if target in targets]


@dataclass(frozen=True, slots=True)
class HoldRequest:
    """A wish to hold ``quantity`` of a ticket type; its id is the same whenever the same request is repeated."""

    id: uuid.UUID
    ticket_type_id: uuid.UUID
    buyer_id: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Capacity set aside for a buyer until ``expires_at``."""

    id: uuid.UUID
    ticket_type_id: uuid.UUID
    buyer_id: str
    quantity: int
    status: HoldStatus
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Order:
    """A purchase; ``amount`` is in minor units of ``currency``."""

    id: uuid.UUID
    hold_id: uuid.UUID
    event_id: uuid.UUID
    ticket_type_id: uuid.UUID
    buyer_id: str
    quantity: int
    amount: int
    currency: str
    status: OrderStatus


class SoldOut(Exception):
    """The ticket type has not enough capacity left."""


class UnknownTicketType(Exception):
    """There is no such ticket type."""


class KeyReused(Exception):
    """The idempotency key belongs to another request."""


class Overloaded(Exception):
    """Too many requests wait for this ticket type."""


class HoldUnusable(Exception):
    """The hold is not the buyer's, has expired, was released, or has an order already."""


def hold_id(buyer_id: str, key: str) -> uuid.UUID:
    """The id of the hold that ``buyer_id`` asks for under the idempotency key ``key``."""
    return uuid.uuid5(_NAMESPACE, f"hold\n{buyer_id}\n{key}")


def ticket_id(order_id: uuid.UUID, number: int) -> uuid.UUID:
    """The id of ticket ``number`` (from 1) of an order: the same at every attempt to issue it."""
    return uuid.uuid5(_NAMESPACE, f"ticket\n{order_id}\n{number}")


def fitting(requests: Iterable[HoldRequest], available: int) -> list[HoldRequest]:
    """Those of ``requests`` that fit into ``available``, first come first served; a smaller one may pass a larger."""
    chosen = []
    for request in requests:
        if request.quantity <= available:
            chosen.append(request)
            available -= request.quantity
    return chosen
