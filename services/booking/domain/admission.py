"""The waiting room of an event: who is served when, and the token that says so."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

# Time in which an admitted buyer may take holds; whoever comes later joins again, at the end.
ADMISSION_SECONDS: Final = 900
# Seconds after which a buyer who waits is told to ask again, at the least and at the most.
_SOONEST, _LATEST = 1, 30


@dataclass(frozen=True, slots=True)
class Room:
    """The waiting room of an event: it opens at ``opens_at`` and lets ``per_second`` buyers in."""

    event_id: uuid.UUID
    opens_at: datetime
    per_second: int

    def serving(self, now: datetime) -> int:
        """How many have been let in by ``now``."""
        return max(0, int((now - self.opens_at).total_seconds() * self.per_second))

    def turn(self, position: int) -> datetime:
        """When the buyer at ``position`` (from 1) is let in."""
        return self.opens_at + timedelta(seconds=position / self.per_second)

    def retry_after(self, position: int, now: datetime) -> int:
        """Seconds after which that buyer should ask again."""
        return min(_LATEST, max(_SOONEST, round((self.turn(position) - now).total_seconds())))


def token(secret: bytes, event_id: uuid.UUID, buyer_id: str, expires_at: datetime) -> str:
    """A token that admits ``buyer_id`` until ``expires_at``: the same whenever it is asked for."""
    until = int(expires_at.timestamp())
    return f"{until}.{_signature(secret, event_id, buyer_id, until)}"


def admits(secret: bytes, event_id: uuid.UUID, buyer_id: str, shown: str, now: datetime) -> bool:
    """Whether ``shown`` is a token for this event and buyer that has not expired."""
    until, _, signature = shown.partition(".")
    if not (until.isascii() and until.isdigit() and len(until) < 20) or int(until) < now.timestamp():
        return False
    expected = _signature(secret, event_id, buyer_id, int(until))
    return hmac.compare_digest(expected.encode(), signature.encode())


def _signature(secret: bytes, event_id: uuid.UUID, buyer_id: str, until: int) -> str:
    return hmac.new(secret, f"{event_id}\n{buyer_id}\n{until}".encode(), hashlib.sha256).hexdigest()
