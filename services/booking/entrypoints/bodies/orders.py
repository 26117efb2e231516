"""Bodies of the routes of the same name."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from pydantic import Field

from services.common.bodies import Body


class TicketView(Body):
    """A ticket; its signed ``code`` is shown to its holder alone."""

    id: uuid.UUID
    status: str
    code: str | None
    section: str | None
    line: str | None
    seat: str | None


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


class RefundRequest(Body):
    """The tickets to give back; all valid ones when absent."""

    ticket_ids: list[uuid.UUID] | None = Field(default=None, min_length=1, max_length=100)


class RefundView(Body):
    """A refund that is on its way; ``amount`` in minor units."""

    id: uuid.UUID
    amount: int
    status: str
