"""What becomes of an order that is not simply completed."""

from __future__ import annotations

from services.contracts import Event
from services.notification.workflows.model import Category, Channel, Workflow

CANCELLED = Workflow(
    name="order-cancelled",
    title="An order was cancelled",
    event=Event.ORDER_CANCELLED,
    category=Category.TRANSACTIONAL,
    channels=(Channel.EMAIL, Channel.PUSH, Channel.IN_APP),
)
REFUNDED = Workflow(
    name="order-refunded",
    title="An order was refunded",
    event=Event.ORDER_REFUNDED,
    category=Category.TRANSACTIONAL,
    channels=(Channel.EMAIL, Channel.IN_APP),
    subject="refundId",
)
OFFER = Workflow(
    name="offer-made",
    title="A place on the waiting list has come up",
    event=Event.OFFER_MADE,
    category=Category.TRANSACTIONAL,
    channels=(Channel.EMAIL, Channel.SMS, Channel.PUSH, Channel.IN_APP),
    subject="offerId",
    needs=("offerId",),
)
