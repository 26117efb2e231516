"""Bodies of the routes of the same name."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Literal

from services.booking.entrypoints.bodies.kinds import Quantity
from services.common.bodies import Body


class Admission(Body):
    """Admitted: send ``token`` as the header `Admission` when taking holds."""

    token: str
    expires_at: datetime


class Place(Body):
    """A place in the room and how many were let in; both are null while they cannot be told. Ask again later."""

    position: int | None
    serving: int | None
    retry_after: int


class Wish(Body):
    """What to wait for."""

    ticket_type_id: uuid.UUID
    quantity: Quantity


class Entry(Body):
    """A place on the list, from 1."""

    id: uuid.UUID
    position: int


class EntryView(Body):
    """A place, or the offer that it became: a hold, to be paid for as any other before it expires."""

    id: uuid.UUID
    status: Literal["waiting", "offered", "left"]
    position: int | None
    hold_id: uuid.UUID | None
    expires_at: datetime | None
