"""What a subscriber wants to hear, how, in which language, and when not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from services.notification.quiet_hours import QuietHours
from services.notification.workflows.model import Category, Channel, Workflow


class Locale(StrEnum):
    """A language that every template is written in."""

    FRENCH = "fr"
    ENGLISH = "en"


# The home market's: what a subscriber has who never said anything.
HOME_LOCALE: Final = Locale.FRENCH
HOME_ZONE: Final = "Europe/Paris"


class TicketsUnreachable(ValueError):
    """No channel is left on which a ticket could arrive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """A subscriber's own settings; ``choices`` hold what was said, the rest has its default."""

    locale: Locale = HOME_LOCALE
    time_zone: str = HOME_ZONE
    quiet_hours: QuietHours | None = None
    choices: Mapping[tuple[Category, Channel], bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not any(self.wants(Category.TICKETS, channel) for channel in Channel):
            raise TicketsUnreachable("tickets are switched off on every channel; leave at least one of them on")

    def wants(self, category: Category, channel: Channel) -> bool:
        """Marketing is opt-in (ePrivacy Directive 2002/58/EC, article 13), everything else is opt-out."""
        return self.choices.get((category, channel), category is not Category.MARKETING)

    def channels(self, workflow: Workflow) -> tuple[Channel, ...]:
        """Where ``workflow`` may reach the subscriber; none means that it is suppressed.

        A ticket always goes somewhere: when the channels left on are not the workflow's, it goes by its first one.
        """
        if workflow.critical:
            return workflow.channels
        wanted = tuple(channel for channel in workflow.channels if self.wants(workflow.category, channel))
        return workflow.channels[:1] if workflow.category is Category.TICKETS and not wanted else wanted

    def due(self, workflow: Workflow, now: datetime) -> datetime:
        """``now``, or the end of the quiet hours."""
        if self.quiet_hours is None or not workflow.waits_for_quiet_hours:
            return now
        return self.quiet_hours.end_after(now, ZoneInfo(self.time_zone))
