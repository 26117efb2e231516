"""What brings a ticket, or says where one went."""

from __future__ import annotations

from services.contracts import Event
from services.notification.workflows.model import Category, Channel, Workflow

COMPLETED = Workflow(
    name="order-completed",
    title="Tickets of an order",
    event=Event.ORDER_COMPLETED,
    category=Category.TICKETS,
    channels=(Channel.EMAIL, Channel.SMS, Channel.PUSH, Channel.IN_APP),
)
TRANSFERRED = Workflow(
    name="ticket-transferred",
    title="A ticket was handed on",
    event=Event.TICKET_TRANSFERRED,
    category=Category.TICKETS,
    channels=(Channel.EMAIL, Channel.IN_APP),
    # A ticket may be handed on again: each time is told.
    subject="",
    needs=("ticketId",),
)
RECEIVED = Workflow(
    name="ticket-received",
    title="A ticket was handed to you",
    event=Event.TICKET_TRANSFERRED,
    category=Category.TICKETS,
    channels=(Channel.EMAIL, Channel.PUSH, Channel.IN_APP),
    recipient="recipientId",
    subject="",
    needs=("ticketId",),
)
