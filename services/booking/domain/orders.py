"""Orders: their states, what may follow on what, and what their tickets are worth."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class OrderStatus(StrEnum):
    """The states of an order; `TRANSITIONS` has the moves."""

    PLACED = "placed"
    CONFIRMED = "confirmed"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"
    NEEDS_OPERATOR = "needs_operator"


TRANSITIONS: Final[dict[OrderStatus, frozenset[OrderStatus]]] = {
    OrderStatus.PLACED: frozenset({OrderStatus.CONFIRMED, OrderStatus.CANCELLED, OrderStatus.NEEDS_OPERATOR}),
    OrderStatus.CONFIRMED: frozenset({OrderStatus.COMPLETED, OrderStatus.CANCELLED, OrderStatus.NEEDS_OPERATOR}),
    # When the last of its tickets is refunded; before that it stays completed.
    OrderStatus.COMPLETED: frozenset({OrderStatus.REFUNDED}),
    OrderStatus.CANCELLED: frozenset(),
    OrderStatus.REFUNDED: frozenset(),
    # An operator redrives the saga forward, or cancels.
    OrderStatus.NEEDS_OPERATOR: frozenset({OrderStatus.CONFIRMED, OrderStatus.COMPLETED, OrderStatus.CANCELLED}),
}


def sources(target: OrderStatus) -> list[OrderStatus]:
    """The states from which an order may become ``target``: the expectation of a compare-and-set."""
    return [state for state, targets in TRANSITIONS.items() if target in targets]


@dataclass(frozen=True, slots=True)
class Order:
    """A purchase; ``amount`` is in minor units of ``currency``, vouchers taken off."""

    id: uuid.UUID
    hold_id: uuid.UUID
    event_id: uuid.UUID
    ticket_type_id: uuid.UUID
    buyer_id: str
    quantity: int
    amount: int
    currency: str
    voucher_id: uuid.UUID | None
    status: OrderStatus


def shares(amount: int, quantity: int) -> list[int]:
    """What each ticket of an order is worth, in minor units: as even as it can be, and ``amount`` together."""
    share, rest = divmod(amount, quantity)
    return [share + (number < rest) for number in range(quantity)]
