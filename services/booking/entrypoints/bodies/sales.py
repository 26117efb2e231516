"""Bodies of the routes of the same name."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Self

from pydantic import Field, model_validator

from services.booking.domain import holds
from services.booking.entrypoints.bodies.kinds import Quantity
from services.common.bodies import Body


class NewHold(Body):
    """Capacity to hold; ``seats`` are ids of numbered seats, as many as ``quantity``."""

    ticket_type_id: uuid.UUID
    quantity: Quantity
    seats: list[uuid.UUID] = Field(default_factory=list, max_length=holds.MAX_QUANTITY)

    @model_validator(mode="after")
    def _as_many(self) -> Self:
        if self.seats and len(set(self.seats)) != self.quantity:
            raise ValueError("seats must be as many as quantity, each once")
        return self


class HoldView(Body):
    """A hold, and until when it lasts."""

    id: uuid.UUID
    expires_at: datetime


class Checkout(Body):
    """A hold to pay for. ``paymentMethod`` is the id that the payment provider gave for a card."""

    hold_id: uuid.UUID
    payment_method: str = Field(min_length=1, max_length=100, pattern="^[A-Za-z0-9_]+$")
    voucher: str | None = Field(default=None, min_length=4, max_length=40, pattern="^[A-Z0-9-]+$")


class Placed(Body):
    """The order, whose saga runs now; ``amount`` in minor units, the voucher taken off."""

    order_id: uuid.UUID
    status: str
    amount: int
