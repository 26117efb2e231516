"""Holds: capacity set aside for a buyer, and who of those who ask at once gets one."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias

from services.booking.domain.ids import derived

# How long a buyer may think, how often that may be prolonged, and how long an order's saga may take to confirm seats:
# 15 minutes of it are the buyer's, if the bank asks for an authentication.
HOLD_SECONDS: Final = 600
EXTENSIONS: Final = 2
CHECKOUT_SECONDS: Final = 1200
MAX_QUANTITY: Final = 10


class HoldStatus(StrEnum):
    """A hold counts against capacity while active (held) and confirmed (sold), and not in the other states."""

    ACTIVE = "active"
    CONFIRMED = "confirmed"
    RELEASED = "released"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class HoldRequest:
    """A wish to hold ``quantity`` of a ticket type; its id is the same whenever the same request is repeated."""

    id: uuid.UUID
    ticket_type_id: uuid.UUID
    buyer_id: str
    quantity: int
    seats: tuple[uuid.UUID, ...] = ()


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
class Terms:
    """On what terms a ticket type is sold at this moment; ``price`` in minor units."""

    price: int
    open: bool
    max_per_buyer: int


@dataclass(frozen=True, slots=True)
class Existing:
    """The hold that has a request's id already."""

    ticket_type_id: uuid.UUID
    quantity: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, and what is known of it: ``owned`` is what the buyer has of the ticket type, held or sold."""

    request: HoldRequest
    existing: Existing | None
    terms: Terms | None
    owned: int


@dataclass(frozen=True, slots=True)
class Capacity:
    """A capacity pool under its lock: what is left, and how many buyers wait for what is given back."""

    available: int
    waiting: int
    seated: bool


class Refused(Exception):
    """A hold that was not taken; each subclass is one reason."""


class SoldOut(Refused):
    """The pool has not enough capacity left, or what is left is for those who wait."""


class UnknownTicketType(Refused):
    """There is no such ticket type."""


class NotOnSale(Refused):
    """The event is not published, or this is not the time of the sale."""


class LimitReached(Refused):
    """The buyer would have more than one buyer may have."""


class SeatsNeeded(Refused):
    """Seats are named where they must not be, or not named where they must."""


class SeatsTaken(Refused):
    """One of the seats is somebody's, or none of this pool."""


class KeyReused(Refused):
    """The idempotency key belongs to another request."""


class Overloaded(Refused):
    """Too many requests wait for this pool."""


class HoldUnusable(Exception):
    """The hold is not the buyer's, has expired, was released, or has an order already."""


Verdict: TypeAlias = Terms | datetime | Refused


def hold_id(buyer_id: str, key: str) -> uuid.UUID:
    """The id of the hold that ``buyer_id`` asks for under the idempotency key ``key``."""
    return derived("hold", buyer_id, key)


def judge(capacity: Capacity, asked: Iterable[Asked]) -> dict[uuid.UUID, Verdict]:
    """What becomes of each request: the terms to hold at, the expiry of the hold that it has already, or a refusal.

    First come, first served; a smaller wish may pass a larger one that does not fit. Nobody new is served while others
    wait.
    """
    available = 0 if capacity.waiting else capacity.available
    granted: Counter[tuple[uuid.UUID, str]] = Counter()
    verdicts: dict[uuid.UUID, Verdict] = {}
    for each in asked:
        request, verdict = each.request, _judge(each, capacity.seated)
        if isinstance(verdict, Terms):
            buyer = (request.ticket_type_id, request.buyer_id)
            if each.owned + granted[buyer] + request.quantity > verdict.max_per_buyer:
                verdict = LimitReached()
            elif request.quantity > available:
                verdict = SoldOut()
            else:
                granted[buyer] += request.quantity
                available -= request.quantity
        verdicts[request.id] = verdict
    return verdicts


def _judge(asked: Asked, seated: bool) -> Verdict:
    request, existing = asked.request, asked.existing
    if existing is not None:
        same = (existing.ticket_type_id, existing.quantity) == (request.ticket_type_id, request.quantity)
        return existing.expires_at if same else KeyReused()
    if asked.terms is None:
        return UnknownTicketType()
    if not asked.terms.open:
        return NotOnSale()
    if seated != bool(request.seats):
        return SeatsNeeded()
    return asked.terms


def fitting(quantities: Sequence[int], available: int) -> list[int]:
    """Places in ``quantities`` of those that fit into ``available``; a smaller one may pass a larger."""
    chosen = []
    for place, quantity in enumerate(quantities):
        if quantity <= available:
            chosen.append(place)
            available -= quantity
    return chosen
