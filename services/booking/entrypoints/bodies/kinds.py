"""Kinds of values that several bodies have, and how text is checked."""

from __future__ import annotations

import uuid
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from services.booking.domain.holds import MAX_QUANTITY
from services.common.bodies import Body, Whole


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("must have no control characters")
    return value


def _storable(value: str) -> str:
    # PostgreSQL's text holds every character but this one.
    if "\x00" in value:
        raise ValueError("must have no NUL character")
    return value


Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(_printable)
]
Text = Annotated[str, StringConstraints(max_length=10_000), AfterValidator(_storable)]
Short = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20), AfterValidator(_printable)
]
Currency = Annotated[str, Field(pattern="^[a-z]{3}$")]
# Minor units.
Money = Annotated[Whole, Field(ge=1, le=10_000_000)]
Quantity = Annotated[Whole, Field(ge=1, le=MAX_QUANTITY)]
Places = Annotated[Whole, Field(ge=1, le=1_000_000)]


class Created(Body):
    """The id of what was created."""

    id: uuid.UUID
