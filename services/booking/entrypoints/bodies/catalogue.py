"""Bodies of the routes of the same name."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, Strict, model_validator

from services.booking.domain.holds import MAX_QUANTITY
from services.booking.entrypoints.bodies.kinds import Currency, Money, Name, Places, Short, Text
from services.common.bodies import Body, Flag, Moment, Whole

Degrees = Annotated[float, Strict(), Field(allow_inf_nan=False)]


class NewVenue(Body):
    """A place; coordinates in degrees (WGS 84)."""

    name: Name
    address: Name
    city: Name
    country: str = Field(pattern="^[A-Z]{2}$", description="ISO 3166-1 alpha-2")
    latitude: Annotated[Degrees, Field(ge=-90, le=90)] | None = None
    longitude: Annotated[Degrees, Field(ge=-180, le=180)] | None = None


class Venue(NewVenue):
    """A venue."""

    id: uuid.UUID


class NewEvent(Body):
    """An event to create. A draft is neither shown in the feed nor sold until it is published.

    ``admissionsPerSecond`` sets a waiting room before the sale, which opens at ``saleOpensAt``; ``refundsUntil`` is
    the buyers' deadline, without which there are no refunds but for a cancelled event.
    """

    name: Name
    starts_at: Moment
    description: Text = ""
    venue_id: uuid.UUID | None = None
    refunds_until: Moment | None = None
    sale_opens_at: Moment | None = None
    admissions_per_second: Annotated[Whole, Field(ge=1, le=10_000)] | None = None
    draft: Flag = False

    @model_validator(mode="after")
    def _room_has_an_hour(self) -> Self:
        if self.admissions_per_second and not self.sale_opens_at:
            raise ValueError("a waiting room (admissionsPerSecond) needs saleOpensAt: when it opens")
        return self


class Tier(Body):
    """A price in minor units, until a time; the last tier has none and is for ever."""

    price: Money
    until: Moment | None = None


class NewTicketType(Body):
    """A ticket type to add: either to a pool that others draw on too, or with a capacity of its own.

    Either one ``price`` or ``tiers``. ``salesFrom`` and ``salesUntil`` are open-ended when absent.
    """

    name: Name
    currency: Currency
    price: Money | None = None
    tiers: list[Tier] = Field(default_factory=list, max_length=20)
    pool_id: uuid.UUID | None = None
    capacity: Places | None = None
    max_per_buyer: Whole = Field(default=MAX_QUANTITY, ge=1, le=1_000)
    sales_from: Moment | None = None
    sales_until: Moment | None = None

    @model_validator(mode="after")
    def _unambiguous(self) -> Self:
        if (self.price is None) != bool(self.tiers):
            raise ValueError("give either price or tiers")
        if (self.pool_id is None) == (self.capacity is None):
            raise ValueError("give either poolId or capacity")
        if self.sales_from and self.sales_until and self.sales_from >= self.sales_until:
            raise ValueError("salesFrom must be before salesUntil")
        untils = [tier.until for tier in self.tiers]
        ends = [until for until in untils if until is not None]
        if self.tiers and (untils[-1] is not None or None in untils[:-1] or ends != sorted(set(ends))):
            raise ValueError("tiers must end one after the other, and the last one never")
        return self

    def prices(self) -> list[tuple[datetime | None, int]]:
        """(until, price) of each tier."""
        return [(None, self.price)] if self.price else [(tier.until, tier.price) for tier in self.tiers]


class Seat(Body):
    """Where a numbered seat is."""

    section: Short
    line: Short
    number: Short


class NewPool(Body):
    """A capacity pool: so many places, or these numbered seats."""

    name: Name
    capacity: Places | None = None
    seats: list[Seat] = Field(default_factory=list, max_length=20_000)

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.capacity is None) != bool(self.seats):
            raise ValueError("give either capacity or seats")
        if len({(seat.section, seat.line, seat.number) for seat in self.seats}) < len(self.seats):
            raise ValueError("two seats have the same section, line and number")
        return self


class NewVoucher(Body):
    """A code that takes ``percent`` or ``amountOff`` (minor units) off an order."""

    code: str = Field(min_length=4, max_length=40, pattern="^[A-Z0-9-]+$")
    percent: Annotated[Whole, Field(ge=1, le=100)] | None = None
    amount_off: Money | None = None
    ticket_type_id: uuid.UUID | None = None
    max_uses: Whole = Field(ge=1, le=1_000_000)
    valid_until: Moment | None = None

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.percent is None) == (self.amount_off is None):
            raise ValueError("give either percent or amountOff")
        return self


class TicketType(Body):
    """A ticket type; ``available`` is what can be held at this moment, ``price`` that of this moment."""

    id: uuid.UUID
    pool_id: uuid.UUID
    name: str
    price: int
    currency: str
    capacity: int
    available: int
    seated: bool
    max_per_buyer: int
    sales_from: datetime | None
    sales_until: datetime | None


class EventView(Body):
    """An event with what is on sale."""

    id: uuid.UUID
    organiser_id: str
    venue_id: uuid.UUID | None
    name: str
    description: str
    starts_at: datetime
    status: Literal["draft", "published", "cancelled"]
    refunds_until: datetime | None
    sale_opens_at: datetime | None
    venue: Venue | None
    ticket_types: list[TicketType]


class ChangedEvent(EventView):
    """An event as of its change number ``change``."""

    change: int


class SeatView(Seat):
    """A seat and whether it is free."""

    id: uuid.UUID
    free: bool


class PoolFigures(Body):
    """A pool's counters."""

    id: uuid.UUID
    name: str
    capacity: int
    held: int
    sold: int
    waiting: int


class TypeFigures(Body):
    """What was sold of a ticket type; amounts in minor units, ``takings`` before refunds."""

    id: uuid.UUID
    name: str
    currency: str
    held: int
    sold: int
    takings: int
    refunded: int
    checked_in: int


class Figures(Body):
    """An organiser's figures of one event."""

    pools: list[PoolFigures]
    ticket_types: list[TypeFigures]
