"""Quiet hours: a span of local time in which nothing that can wait is sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From ``start`` until ``end``, local wall clock; past midnight when ``end`` is the earlier one."""

    start: time
    end: time

    def __post_init__(self) -> None:
        if self.start == self.end:
            raise ValueError(f"quiet hours from {self.start} to {self.end} never end; leave them out instead")

    def contains(self, local: time) -> bool:
        """Whether it is quiet at ``local``."""
        if self.start < self.end:
            return self.start <= local < self.end
        return local >= self.start or local < self.end

    def end_after(self, now: datetime, zone: ZoneInfo) -> datetime:
        """``now`` when it is not quiet, else the next end, in UTC.

        Where clocks go back, the later of both ends; where they go forward over the end, the same time of the new
        offset. What is then within quiet hours once more waits for the next end.
        """
        due = now.astimezone(UTC)
        while self.contains((local := due.astimezone(zone)).time()):
            day = local.date() + timedelta(days=local.time() >= self.end)
            due = max(
                datetime.combine(day, self.end, zone).replace(fold=fold).astimezone(UTC)  # both readings of the clock
                for fold in (0, 1)
            )
        return due
