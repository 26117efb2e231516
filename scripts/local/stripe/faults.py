"""What goes wrong in the local Stripe on request."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass
class Faults:
    """What goes wrong on request: the next ``count`` calls of ``operation`` fail in ``mode``.

    '' is any operation, and several stand with commas between them.

    `drop-after` carries the call out and closes the connection without an answer; `drop-before` closes it first;
    `error-500` answers an error without doing anything; `slow` answers after ``seconds``.
    """

    mode: str = ""
    operation: str = ""
    count: int = 0
    seconds: float = 0.0
    duplicate_webhooks: int = 1
    reorder_webhooks: bool = False

    def take(self, operation: str) -> str:
        """The fault that this call suffers, '' when none."""
        if self.count < 1 or operation not in (self.operation or operation).split(","):
            return ""
        self.count -= 1
        return self.mode

    def as_json(self) -> dict[str, Any]:
        """For display."""
        return asdict(self)
