"""The rules of payment, without any input or output."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

# Stripe may forget an idempotency key after 24 h (docs.stripe.com/api/idempotent_requests): an hour of margin.
KEY_LIFETIME: Final = timedelta(hours=23)
# A buyer who has not authenticated by then has gone; the seats are held for them all the while.
ACTION_TIMEOUT: Final = timedelta(minutes=15)
EXPIRED: Final = "authentication_expired"


class Status(StrEnum):
    """The states of a payment; CANCELLING refuses a late authorisation while Stripe is being told.

    ACTION_REQUIRED: the buyer's bank wants to hear from the buyer. A payment that is refunded in part is CAPTURED.
    """

    STARTED = "started"
    ACTION_REQUIRED = "action_required"
    AUTHORISED = "authorised"
    CAPTURED = "captured"
    DECLINED = "declined"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"


# Not decided, or not undone: somebody waits for the provider.
OPEN: Final = (Status.STARTED, Status.ACTION_REQUIRED, Status.AUTHORISED, Status.CANCELLING)


class IntentStatus(StrEnum):
    """What the provider says about an intent, as far as it matters here."""

    UNCONFIRMED = "unconfirmed"
    ACTION_REQUIRED = "action_required"
    AUTHORISED = "authorised"
    CAPTURED = "captured"
    DECLINED = "declined"
    CANCELLED = "cancelled"


# Why a refund was written: a saga's own, which carries it out at once, or one that was asked for by an event.
BY_SAGA, BY_EVENT = "saga", "requested"


class RefundStatus(StrEnum):
    """REQUESTED until the provider says how it ended; a refund that succeeded may still fail (the card is closed)."""

    REQUESTED = "requested"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Payment:
    """One attempt to pay for an order; ``amount`` and the platform's ``fee`` in it in minor units.

    Whoever has ``client_secret`` may complete the payment: it is for the buyer alone.
    """

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
    fee: int = 0
    client_secret: str | None = field(default=None, repr=False)
    action_deadline: datetime | None = None

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
    amount: int
    reason: str | None = None
    client_secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Refund:
    """Money that goes back, all of a payment or part of it; ``amount`` in minor units."""

    id: uuid.UUID
    order_id: uuid.UUID
    attempt: int
    amount: int
    reason: str
    status: RefundStatus
    provider_id: str | None
    failure: str | None
    requested_at: datetime

    @property
    def key(self) -> str:
        """The provider's idempotency key."""
        return f"refund:{self.id}"


@dataclass(frozen=True, slots=True)
class ProviderRefund:
    """The provider's view of a refund; ``refund_id`` is ours, None for one that was made in the provider's own pages.

    One without an ``id`` was refused before there was any.
    """

    id: str | None
    status: RefundStatus
    amount: int
    refund_id: uuid.UUID | None = None
    intent_id: str | None = None
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Dispute:
    """The provider's view of a dispute: the buyer's bank takes the money back until it is settled."""

    id: str
    amount: int
    status: str
    reason: str

    @property
    def withdrawn(self) -> bool:
        """Whether money was taken: an inquiry (`warning_…`) takes none (docs.stripe.com/disputes/how-disputes-work)."""
        return not self.status.startswith("warning_")

    @property
    def settled(self) -> bool:
        """Whether its outcome is known."""
        return self.status in SETTLED


SETTLED: Final = ("won", "lost", "warning_closed", "prevented")


@dataclass(frozen=True, slots=True)
class Payout:
    """Money on its way: a `transfer` to an organiser's connected account, or a `payout` to the platform's bank."""

    id: str
    kind: str
    amount: int
    reversed: int
    currency: str
    status: str
    destination: str | None
    created_at: datetime


def fee_of(amount: int, basis_points: int) -> int:
    """The platform's part of ``amount``, in minor units, rounded down: in favour of the organiser."""
    return amount * basis_points // 10_000
