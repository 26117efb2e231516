"""What the use cases of booking need from outside: a store within a transaction, and a voice within the same one."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from services.booking.domain.holds import Hold
from services.booking.domain.orders import Order, OrderStatus
from services.booking.domain.refunds import Refund, RefundStatus, RefundTerms
from services.booking.domain.tickets import Ticket
from services.booking.domain.vouchers import Voucher
from services.contracts import Event


class Voice(Protocol):
    """The outbox: what is said if the transaction commits."""

    async def add(self, destination: str, topic: str, payload: Mapping[str, Any]) -> uuid.UUID:
        """Say something to ``destination``."""

    async def event(self, event: Event, **ids: str) -> uuid.UUID:
        """Announce an event."""


@dataclass(frozen=True, slots=True)
class Bound:
    """What a hold that an order was bound to is of; ``amount`` is in minor units, before vouchers."""

    event_id: uuid.UUID
    ticket_type_id: uuid.UUID
    quantity: int
    amount: int
    currency: str


@dataclass(frozen=True, slots=True)
class NewTicket:
    """A ticket to write; ``number`` counts from 1 within its order."""

    id: uuid.UUID
    number: int
    code: str
    value: int
    seat_id: uuid.UUID | None


class Orders(Protocol):
    """Orders and their locks. Every change is a compare-and-set."""

    async def lock(self, order_id: uuid.UUID) -> Order | None:
        """An order, which no other transaction changes until this one ends."""

    async def move_order(self, order_id: uuid.UUID, expected: Sequence[OrderStatus], to: OrderStatus) -> bool:
        """Compare-and-set of the status, with its line in the audit; False when the status was another."""


class Store(Orders, Protocol):
    """What checkout and the saga's commands see and change within one transaction."""

    async def bind_hold(self, order_id: uuid.UUID, hold_id: uuid.UUID, buyer_id: str, seconds: int) -> Bound | None:
        """Bind a live hold of the buyer to an order, and keep it for ``seconds`` at least; None when it cannot be."""

    async def redeem(self, code: str, event_id: uuid.UUID, ticket_type_id: uuid.UUID) -> Voucher | None:
        """Use a voucher once; None when there is none for this, or none left."""

    async def give_back_voucher(self, order_id: uuid.UUID) -> None:
        """The voucher of an order that came to nothing may be used again."""

    async def add_order(self, order: Order, payment_method: str) -> None:
        """Write a new order, with its first line in the audit."""

    async def hold(self, hold_id: uuid.UUID) -> Hold | None:
        """A hold."""

    async def confirm_hold(self, hold_id: uuid.UUID) -> bool:
        """Active and not expired to confirmed, capacity from held to sold; False when it was not so."""

    async def release_hold(self, hold_id: uuid.UUID) -> bool:
        """Active or confirmed to released, capacity and seats given back; False when there was nothing to give back."""

    async def seats(self, hold_id: uuid.UUID) -> list[uuid.UUID]:
        """The seats of a hold, in the order in which they stand; none of a pool without seats."""

    async def issue(self, order: Order, tickets: Sequence[NewTicket]) -> None:
        """Write the tickets of an order; what exists already stays."""

    async def void_tickets(self, order_id: uuid.UUID) -> None:
        """Make the tickets of an order worthless."""


class ErasureStore(Protocol):
    """What erasure sees and changes within one transaction."""

    async def erase_once(self, person: str) -> bool:
        """Mark a person as erased; False when it was so already."""

    async def leave_lists(self, person: str) -> None:
        """Take a person off every waiting list."""

    async def live(self, person: str) -> Mapping[str, int]:
        """How much a person has that is not over, by kind."""

    async def erase(self, person: str, pseudonym: str) -> None:
        """Put ``pseudonym`` in the person's place where something is kept, and remove the rest."""


class RefundStore(Orders, Protocol):
    """What refunds see and change within one transaction."""

    async def refund_terms(self, event_id: uuid.UUID) -> RefundTerms:
        """Until when buyers of an event may ask."""

    async def set_aside(
        self, order_id: uuid.UUID, ticket_ids: Sequence[uuid.UUID] | None, holder_id: str | None
    ) -> list[Ticket]:
        """Valid tickets of the order (None: all of them) that ``holder_id`` has (None: anybody) to refunding."""

    async def add_refund(self, refund: Refund, requested_by: str) -> None:
        """Write a new refund."""

    async def settle_refund(self, refund_id: uuid.UUID, to: RefundStatus) -> Refund | None:
        """Requested to ``to``; None when it was settled before, or there is none."""

    async def void_refunded(self, refund: Refund) -> int:
        """The refund's tickets to void, their capacity and seats given back; returns how many live ones are left."""

    async def restore(self, refund: Refund) -> None:
        """The refund's tickets to valid again."""


class TransferStore(Protocol):
    """What transfers see and change within one transaction."""

    async def lock_ticket(self, ticket_id: uuid.UUID) -> Ticket | None:
        """A ticket, which no other transaction changes until this one ends."""

    async def offer(self, transfer_id: uuid.UUID, ticket: Ticket, secret_hash: bytes, seconds: int) -> datetime:
        """Offer a ticket in place of what was offered of it before; returns until when."""

    async def accept(self, secret_hash: bytes) -> tuple[uuid.UUID, uuid.UUID] | None:
        """Offered and not expired to accepted; returns the ids of transfer and ticket, None when it was not so."""

    async def replace(self, ticket: Ticket, new_id: uuid.UUID, holder_id: str, code: str) -> None:
        """Void a ticket and write another of its number for ``holder_id``."""
