"""Bodies of the routes of the same name."""

from __future__ import annotations

import uuid
from datetime import datetime

from pydantic import Field

from services.booking.entrypoints.bodies.kinds import Short
from services.common.bodies import Body, Moment


class Code(Body):
    """A code read at the door."""

    code: str = Field(min_length=1, max_length=200)


class Verified(Body):
    """Whether a code opens the door. ``reason`` says why not."""

    valid: bool
    reason: str | None = None
    ticket_id: uuid.UUID | None = None
    event_id: uuid.UUID | None = None


class Reading(Code):
    """A code, when it was read by the device's clock, and which device read it."""

    at: Moment
    device: Short


class Readings(Body):
    """What a device read, at once or while it had no network."""

    readings: list[Reading] = Field(min_length=1, max_length=500)


class Answer(Body):
    """``accepted`` opens the door; ``usedAt`` is when the ticket was used before."""

    accepted: bool
    reason: str | None = None
    used_at: datetime | None = None


class Listed(Body):
    """A ticket that opens the door, or did."""

    id: uuid.UUID
    status: str
    used_at: datetime | None
