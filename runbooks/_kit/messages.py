"""A message that was taken out of a queue to be looked at, whatever queue it is; taken means hidden, not removed."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

# More than a person reads, and less than what fills a memory: a queue is worked through in several runs.
MOST = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """``headers`` are those of the application; ``properties`` what else is needed to send it again."""

    id: str
    body: bytes
    headers: Mapping[str, Any] = field(default_factory=dict)
    properties: Mapping[str, Any] = field(default_factory=dict)
    handle: Any = None

    def portable(self) -> dict[str, Any]:
        """All of it but the handle, in JSON's types."""
        body = b64encode(self.body).decode()
        return {"id": self.id, "body": body, "headers": dict(self.headers), "properties": dict(self.properties)}

    @classmethod
    def restored(cls, kept: Mapping[str, Any]) -> Message:
        """From what ``portable`` gave."""
        return cls(**{**kept, "body": b64decode(kept["body"])})


class Queue(Protocol):
    """A queue from which letters are taken one by one."""

    name: str

    def taken(self, wanted: str | None = None) -> AbstractContextManager[list[Message]]:
        """What is in it, hidden from others for the length of the block; what was not removed is given back.

        Up to MOST, and no further than the message whose id is ``wanted``.
        """

    def depth(self) -> int:
        """About how many there are."""

    def send(self, message: Message) -> None:
        """Returns once the message is safe."""

    def remove(self, message: Message) -> None:
        """Remove a message that is taken."""
