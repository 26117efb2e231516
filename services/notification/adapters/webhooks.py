"""Novu's outbound webhooks: who sent them, and what they say.

Novu sends through Svix, which signs `id.timestamp.body` with HMAC-SHA256 and refuses a clock that is five minutes off
(docs.svix.com, "Verifying webhooks manually"); that is the Standard Webhooks scheme under other header names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, Field, ValidationError
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from services.notification.domain import Report, TransactionId
from services.notification.workflows.model import Channel

# docs.novu.co, "Webhooks event types"
_REPORTS: Final = {
    "message.sent": Report.SENT,
    "message.delivered": Report.DELIVERED,
    "message.failed": Report.FAILED,
}


class Forged(ValueError):
    """The webhook was not signed with our secret, or too long ago."""


class NoEvent(ValueError):
    """The body is not what Novu sends."""


class NovuEvent(BaseModel):
    """What every event of Novu has."""

    type: str
    data: dict[str, Any]


class _Message(BaseModel):
    transaction_id: TransactionId = Field(alias="transactionId")
    channel: Channel


class _Report(BaseModel):
    object: _Message
    error: Any = None


def verify(secret: str, headers: Mapping[str, str], body: bytes) -> None:
    """Raises Forged unless the raw ``body`` carries a valid signature."""
    given = {f"webhook-{part}": headers.get(f"svix-{part}", "") for part in ("id", "timestamp", "signature")}
    try:
        Webhook(secret).verify(body, given, json_parse=False)
    except (WebhookVerificationError, ValueError) as error:
        raise Forged("the signature does not fit the body") from error


def report(body: bytes) -> tuple[str, Channel, Report] | None:
    """Transaction id, channel and report of an event; None when it is about something else. Raises NoEvent.

    Chat's failures come as `message.sent` with an error in them.
    """
    try:
        event = NovuEvent.model_validate_json(body)
    except ValidationError as error:
        raise NoEvent("an event needs type and data") from error
    try:
        said, data = _REPORTS[event.type], _Report.model_validate(event.data)
    except (KeyError, ValidationError):
        return None
    return data.object.transaction_id, data.object.channel, said if data.error is None else Report.FAILED
