"""Tickets: their ids, their states, and what a door, a transfer and a refund do to them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from services.booking.domain.ids import derived

# Time in which somebody may accept a ticket that is offered to him.
TRANSFER_SECONDS: Final = 7 * 24 * 3600


class TicketStatus(StrEnum):
    """Only a valid ticket opens a door, and by that it is used. One that is refunding opens none."""

    VALID = "valid"
    USED = "used"
    REFUNDING = "refunding"
    VOID = "void"


@dataclass(frozen=True, slots=True)
class Ticket:
    """One entrance of one person; ``value`` is what would be refunded for it, in minor units."""

    id: uuid.UUID
    order_id: uuid.UUID
    number: int
    event_id: uuid.UUID
    holder_id: str
    seat_id: uuid.UUID | None
    value: int
    status: TicketStatus


class NotTransferable(Exception):
    """The ticket is not valid any more, or nobody offers it (any more)."""


class NotHeld(NotTransferable):
    """There is no such ticket, or it is somebody else's."""


def ticket_id(order_id: uuid.UUID, number: int) -> uuid.UUID:
    """The id of ticket ``number`` (from 1) of an order: the same at every attempt to issue it."""
    return derived("ticket", order_id, number)


def transferred_id(transfer_id: uuid.UUID) -> uuid.UUID:
    """The id of the ticket that a transfer makes, so that the code of the old one opens no door."""
    return derived("transfer", transfer_id)
