"""What the local Stripe keeps: objects, events, and the answers under idempotency keys."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

Json = dict[str, Any]
B = TypeVar("B", bound="Books")

_KEPT = ("intents", "refunds", "disputes", "payouts", "events", "keys")
KEY_LIFETIME_SECONDS = 24 * 3600


class ApiError(Exception):
    """An error as Stripe answers it."""

    def __init__(self, status: int, kind: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body: Json = {"error": {"type": kind, "message": message, **more}}


@dataclass
class Books:
    """All state; saved as one JSON file after each change when ``path`` is given."""

    path: Path | None = None
    intents: dict[str, Json] = field(default_factory=dict)
    refunds: dict[str, Json] = field(default_factory=dict)
    disputes: dict[str, Json] = field(default_factory=dict)
    payouts: dict[str, Json] = field(default_factory=dict)
    events: list[Json] = field(default_factory=list)
    keys: dict[str, Json] = field(default_factory=dict)
    on_event: Callable[[Json], None] = lambda _: None

    @classmethod
    def load(cls: type[B], path: Path | None) -> B:
        """The books of ``path``, or an empty one."""
        if path is None or not path.exists():
            return cls(path)
        return cls(path, **json.loads(path.read_text()))

    def save(self) -> None:
        """Write the file, whole or not at all."""
        if self.path is not None:
            state = {name: getattr(self, name) for name in _KEPT}
            draft = self.path.with_suffix(".draft")
            draft.write_text(json.dumps(state))
            draft.rename(self.path)

    def once(self, key: str | None, path: str, params: Mapping[str, Any], work: Callable[[], Json]) -> tuple[int, Json]:
        """Run ``work`` under an idempotency key: status and body, stored also when it is an error of the card."""
        if key is None:
            return _run(work)
        asked = json.dumps([path, params], sort_keys=True)
        stored = self.keys.get(key)
        if stored is not None and time.time() - stored["at"] < KEY_LIFETIME_SECONDS:
            if stored["asked"] != asked:
                raise ApiError(
                    400,
                    "idempotency_error",
                    f"Keys for idempotent requests can only be used with the same parameters they were first used "
                    f"with. Try using a key other than '{key}' if you meant to execute a different request.",
                )
            return stored["status"], stored["body"]
        status, body = _run(work)
        # Stripe keeps the answer of whatever began to execute, errors included; parameters that fail validation do
        # not begin.
        self.keys[key] = {"asked": asked, "status": status, "body": body, "at": time.time()}
        return status, body

    def add(
        self, into: dict[str, Json], prefix: str, kind: str, intent: Json, amount: int, params: Mapping[str, Any]
    ) -> Json:
        """A new object of ``kind`` about ``intent``."""
        made: Json = {
            "id": f"{prefix}_{secrets.token_hex(12)}",
            "object": kind,
            "amount": amount,
            "charge": intent["latest_charge"],
            "created": int(time.time()),
            "currency": intent["currency"],
            "metadata": params.get("metadata", {}),
            "payment_intent": intent["id"],
        }
        into[made["id"]] = made
        return made

    def event(self, kind: str, subject: Json) -> None:
        event: Json = {
            "id": f"evt_{secrets.token_hex(12)}",
            "object": "event",
            "api_version": "2025-03-31",
            "created": int(time.time()),
            "data": {"object": dict(subject)},
            "livemode": False,
            "pending_webhooks": 0,
            "request": {"id": None, "idempotency_key": None},
            "type": kind,
        }
        self.events.append(event)
        self.on_event(event)


def known(among: Mapping[str, Json], name: str, kind: str) -> Json:
    if name not in among:
        raise ApiError(404, "invalid_request_error", f"No such {kind}: '{name}'", code="resource_missing", param="id")
    return among[name]


def _run(work: Callable[[], Json]) -> tuple[int, Json]:
    try:
        return 200, work()
    except ApiError as error:
        if error.status == 402 or error.body["error"].get("code") == "payment_intent_unexpected_state":
            return error.status, error.body
        raise
