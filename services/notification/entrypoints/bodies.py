"""The JSON of notification's API."""

from __future__ import annotations

import re
from datetime import datetime, time
from typing import Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from services.common.bodies import Body, Flag
from services.common.problems import Problem
from services.contracts import Id
from services.notification.domain import Status
from services.notification.preferences import HOME_LOCALE, HOME_ZONE, Locale, Preferences, TicketsUnreachable
from services.notification.quiet_hours import QuietHours
from services.notification.workflows.model import Category, Channel

_CLOCK = re.compile("^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$")


def _known(zone: str) -> str:
    if zone not in available_timezones():
        raise ValueError("is no time zone of the IANA database; use one like Europe/Paris")
    return ZoneInfo(zone).key


class Entry(Body):
    """Something that happened to one's orders; ``status`` is that of the message which told of it, if one did."""

    id: str
    type: str
    ids: dict[str, str]
    occurred_at: datetime
    status: Status | None


def _wall_clock(value: Any) -> Any:
    if not isinstance(value, time) and not (isinstance(value, str) and _CLOCK.match(value)):
        raise ValueError("must be a time of the wall clock, without an offset, like 22:00 or 22:00:00")
    return value


WallClock = Annotated[time, BeforeValidator(_wall_clock), WithJsonSchema({"type": "string", "pattern": _CLOCK.pattern})]


class QuietHoursBody(Body):
    """Local wall clock; past midnight when ``end`` is the earlier one."""

    start: WallClock
    end: WallClock


class PreferencesBody(Body):
    """What one wants to hear, on which channels; what is not said has its default (marketing off, the rest on)."""

    locale: Locale = HOME_LOCALE
    time_zone: Annotated[str, AfterValidator(_known)] = HOME_ZONE
    quiet_hours: QuietHoursBody | None = None
    channels: dict[Category, dict[Channel, Flag]] = Field(default_factory=dict)

    def preferences(self) -> Preferences:
        """The settings that are asked for. Raises Problem 422."""
        try:
            return Preferences(
                locale=self.locale,
                time_zone=self.time_zone,
                quiet_hours=QuietHours(self.quiet_hours.start, self.quiet_hours.end) if self.quiet_hours else None,
                choices={
                    (category, channel): wanted
                    for category, by_channel in self.channels.items()
                    for channel, wanted in by_channel.items()
                },
            )
        except TicketsUnreachable as error:
            raise Problem(422, "tickets-need-a-channel", f"{error}.") from error
        except ValueError as error:
            raise Problem(422, "quiet-hours-without-end", f"{error}.") from error


def shown(preferences: Preferences) -> PreferencesBody:
    """The whole of ``preferences``, defaults spelt out."""
    quiet = preferences.quiet_hours
    return PreferencesBody(
        locale=preferences.locale,
        time_zone=preferences.time_zone,
        quiet_hours=QuietHoursBody(start=quiet.start, end=quiet.end) if quiet else None,
        channels={
            category: {channel: preferences.wants(category, channel) for channel in Channel} for category in Category
        },
    )


class DeadDelivery(Body):
    """A delivery that was given up after its last attempt; ``reason`` is the kind of its last error."""

    transaction_id: str
    workflow: str
    attempts: int
    reason: str | None
    decided_at: datetime


class Requeued(Body):
    """The status of a delivery after it was put back."""

    transaction_id: str
    status: Status


class Campaign(Body):
    """An event to be made known; ``campaign`` makes it the same however often it is sent."""

    campaign: Annotated[str, Field(min_length=1, max_length=64, pattern="^[A-Za-z0-9._-]+$")]
    event_id: Id
    subscriber_ids: Annotated[list[Id], Field(min_length=1, max_length=1_000)]


class Queued(Body):
    """How many messages are new in the queue."""

    queued: int
