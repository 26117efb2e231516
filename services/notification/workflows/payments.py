"""What a buyer must do about a payment, and what an organiser must know of one."""

from __future__ import annotations

from datetime import timedelta

from services.contracts import Event
from services.notification.workflows.model import PLATFORM, Category, Channel, Workflow

ACTION_REQUIRED = Workflow(
    name="payment-action-required",
    title="The bank asks for a confirmation",
    event=Event.PAYMENT_ACTION_REQUIRED,
    category=Category.TRANSACTIONAL,
    channels=(Channel.EMAIL, Channel.SMS, Channel.PUSH, Channel.IN_APP),
    # The hold ends within minutes: told later, it is of no use.
    critical=True,
)
REFUND_FAILED = Workflow(
    name="payment-refund-failed",
    title="A refund did not arrive",
    event=Event.PAYMENT_REFUND_FAILED,
    category=Category.TRANSACTIONAL,
    channels=(Channel.EMAIL, Channel.IN_APP),
    subject="refundId",
)
DISPUTED = Workflow(
    name="payment-disputed",
    title="A payment is disputed",
    event=Event.PAYMENT_DISPUTED,
    category=Category.TRANSACTIONAL,
    channels=(Channel.EMAIL, Channel.CHAT, Channel.IN_APP),
    recipient="organiserId",
    otherwise=PLATFORM,
    subject="disputeId",
    digest=timedelta(minutes=15),
)
