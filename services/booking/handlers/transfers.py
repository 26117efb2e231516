"""Transfers: a ticket is offered with a secret, and whoever brings the secret has a ticket of his own."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from datetime import datetime

from services.booking.domain.tickets import (
    TRANSFER_SECONDS,
    NotHeld,
    NotTransferable,
    TicketStatus,
    transferred_id,
)
from services.booking.ports import TransferStore, Voice
from services.booking.ticket_codes import Signer
from services.contracts import Event


async def offer(store: TransferStore, *, ticket_id: uuid.UUID, holder_id: str) -> tuple[str, datetime]:
    """Offer one's own valid ticket; returns the secret, which is kept nowhere, and until when it may be used.

    Idempotency: none: each offer takes the place of the one before, whose secret is worth nothing then. Raises
    NotHeld, NotTransferable.
    """
    ticket = await store.lock_ticket(ticket_id)
    if ticket is None or ticket.holder_id != holder_id:
        raise NotHeld(f"you have no ticket {ticket_id}")
    if ticket.status is not TicketStatus.VALID:
        raise NotTransferable(f"ticket {ticket_id} is {ticket.status.value}, not valid")
    secret = secrets.token_urlsafe(32)
    return secret, await store.offer(uuid.uuid4(), ticket, _hash(secret), TRANSFER_SECONDS)


async def accept(store: TransferStore, voice: Voice, signer: Signer, *, secret: str, holder_id: str) -> uuid.UUID:
    """Take an offered ticket over: the old one is void, so its code opens no door; returns the new one's id.

    Idempotency: the API's key; an offer is accepted once. Raises NotTransferable.
    """
    accepted = await store.accept(_hash(secret))
    if accepted is None:
        raise NotTransferable("this offer is unknown, accepted, withdrawn or expired; ask for a new one")
    transfer_id, ticket_id = accepted
    ticket = await store.lock_ticket(ticket_id)
    if ticket is None or ticket.status is not TicketStatus.VALID:
        raise NotTransferable("the ticket was used or given back meanwhile")
    new_id = transferred_id(transfer_id)
    await store.replace(ticket, new_id, holder_id, signer.code(new_id, ticket.event_id))
    await voice.event(
        Event.TICKET_TRANSFERRED,
        ticketId=str(new_id),
        orderId=str(ticket.order_id),
        eventId=str(ticket.event_id),
        buyerId=ticket.holder_id,
        recipientId=holder_id,
    )
    return new_id


def _hash(secret: str) -> bytes:
    """Who reads the database cannot take a ticket over."""
    return hashlib.sha256(secret.encode()).digest()
