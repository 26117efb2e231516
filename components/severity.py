"""How soon somebody has to act on an alarm, which is also where it goes."""

from __future__ import annotations

from enum import StrEnum


class Severity(StrEnum):
    """PAGE wakes the person on call, TICKET waits for the morning."""

    PAGE = "page"
    TICKET = "ticket"
