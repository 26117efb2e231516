"""The rules of payment, without any input or output."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

# Stripe may forget an idempotency key after 24 h (docs.stripe.com/api/idempotent_requests): an hour of margin.
KEY_LIFETIME: Final = timedelta(hours=23)


class Status(StrEnum):
    """The states of a payment; CANCELLING refuses a late authorisation while Stripe is being told."""

    STARTED = "started"
    AUTHORISED = "authorised"
    CAPTURED = "captured"
    DECLINED = "declined"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"


class IntentStatus(StrEnum):
    """What the provider says about an intent, as far as it matters here."""

    UNCONFIRMED = "unconfirmed"
    AUTHORISED = "authorised"
    CAPTURED = "captured"
    DECLINED = "declined"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Payment:
    """One attempt to pay for an order; ``amount`` in minor units."""

    order_id: uuid.UUID
    attempt: int
    buyer_id: str
    amount: int
    currency: str
    payment_method: str
    status: Status
    intent_id: str | None
    refund_id: str | None
    reason: str | None
    created_at: datetime

    @property
    def id(self) -> str:
        """What other services call it."""
        return f"{self.order_id}:{self.attempt}"

    @property
    def key(self) -> str:
        """The provider's idempotency key, the same in every process and at every retry."""
        return f"charge:{self.order_id}:{self.attempt}"


@dataclass(frozen=True, slots=True)
class Intent:
    """The provider's view; ``reason`` says why it was declined."""

    id: str
    status: IntentStatus
    order_id: str
    attempt: int
    reason: str | None = None
