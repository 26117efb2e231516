"""What the API of booking accepts and answers."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from services.booking.domain import MAX_QUANTITY
from services.common.bodies import Body


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("must have no control characters")
    return value


Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(_printable)
]


class NewEvent(Body):
    """An event to create."""

    name: Name
    starts_at: AwareDatetime


class NewTicketType(Body):
    """A ticket type to add; ``price`` in minor units."""

    name: Name
    price: int = Field(ge=1, le=10_000_000)
    currency: str = Field(pattern="^[a-z]{3}$")
    capacity: int = Field(ge=1, le=1_000_000)


class Created(Body):
    """The id of what was created."""

    id: uuid.UUID


class TicketType(Body):
    """A ticket type on sale; ``available`` is what can be held at this moment."""

    id: uuid.UUID
    name: str
    price: int
    currency: str
    capacity: int
    available: int


class EventView(Body):
    """An event with its ticket types."""

    id: uuid.UUID
    organiser_id: str
    name: str
    starts_at: datetime
    ticket_types: list[TicketType]


class NewHold(Body):
    """Capacity to hold."""

    ticket_type_id: uuid.UUID
    quantity: int = Field(ge=1, le=MAX_QUANTITY)


class HoldView(Body):
    """A hold, and until when it lasts."""

    id: uuid.UUID
    expires_at: datetime


class Checkout(Body):
    """A hold to pay for. ``paymentMethod`` is the id that the payment provider gave for a card."""

    hold_id: uuid.UUID
    payment_method: str = Field(min_length=1, max_length=100, pattern="^[A-Za-z0-9_]+$")


class Placed(Body):
    """The order, whose saga runs now."""

    order_id: uuid.UUID
    status: str


class TicketView(Body):
    """A ticket with its signed code."""

    id: uuid.UUID
    code: str
    status: str


class OrderView(Body):
    """An order as its buyer sees it; ``amount`` in minor units."""

    id: uuid.UUID
    status: str
    event_id: uuid.UUID
    ticket_type_id: uuid.UUID
    quantity: int
    amount: int
    currency: str
    tickets: list[TicketView]


class Code(Body):
    """A code read at the door."""

    code: str = Field(min_length=1, max_length=200)


class Verified(Body):
    """Whether a code opens the door. ``reason`` says why not."""

    valid: bool
    reason: str | None = None
    ticket_id: uuid.UUID | None = None
    event_id: uuid.UUID | None = None


class Step(Body):
    """One attempt of one step."""

    step: str
    attempt: int
    outcome: str
    error: str | None
    started_at: datetime
    finished_at: datetime | None


class SagaView(Body):
    """The trail of an order: what the state machine recorded, and what booking's own workers did.

    ``status`` is the execution's, NOT_STARTED before it begins, or UNAVAILABLE while Step Functions cannot be asked.
    """

    order_id: uuid.UUID
    execution_arn: str | None
    status: str
    steps: list[Step]
    booking: list[dict[str, Any]]
