"""Refunds: who may ask for one, and until when."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class RefundStatus(StrEnum):
    """Requested until payment says what became of it."""

    REQUESTED = "requested"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Refund:
    """Money back for some tickets of an order; ``amount`` in minor units."""

    id: uuid.UUID
    order_id: uuid.UUID
    ticket_ids: tuple[uuid.UUID, ...]
    amount: int
    status: RefundStatus


@dataclass(frozen=True, slots=True)
class RefundTerms:
    """When a buyer may ask: until ``until``, or at any time once the event is cancelled. Never when there is none."""

    until: datetime | None
    cancelled: bool

    def allow(self, now: datetime) -> bool:
        """Whether a buyer may have a refund at ``now``."""
        return self.cancelled or (self.until is not None and now <= self.until)


class NotRefundable(Exception):
    """The order is not completed, a ticket is not valid any more or not of the order, or it is too late."""
