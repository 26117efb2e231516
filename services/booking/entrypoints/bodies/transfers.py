"""Bodies of the routes of the same name."""

from __future__ import annotations

import uuid
from datetime import datetime

from pydantic import Field

from services.common.bodies import Body


class Offer(Body):
    """Whoever brings ``secret`` before it expires has the ticket. It is shown once."""

    secret: str
    expires_at: datetime


class Acceptance(Body):
    """The secret of an offer."""

    secret: str = Field(min_length=20, max_length=100, pattern="^[A-Za-z0-9_-]+$")


class MyTicket(Body):
    """A ticket of one's own, with its signed code."""

    id: uuid.UUID
    event_id: uuid.UUID
    status: str
    code: str
