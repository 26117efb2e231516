"""Novu's outbound webhooks: who sent them, and what they say.

Novu sends through Svix, which signs `id.timestamp.body` with HMAC-SHA256 and refuses a clock that is five minutes off
(docs.svix.com, "Verifying webhooks manually"); that is the Standard Webhooks scheme under other header names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from services.notification.domain import Report
from services.notification.workflows.model import Channel

# docs.novu.co, "Webhooks event types"
_REPORTS: Final = {
    "message.sent": Report.SENT,
    "message.delivered": Report.DELIVERED,
    "message.failed": Report.FAILED,
}


class Forged(ValueError):
    """The webhook was not signed with our secret, or too long ago."""


def verified(secret: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """The JSON of a webhook whose raw ``body`` carries a valid signature. Raises Forged."""
    given = {f"webhook-{part}": headers.get(f"svix-{part}", "") for part in ("id", "timestamp", "signature")}
    try:
        Webhook(secret).verify(body, given, json_parse=False)
        content = json.loads(body)
    except (WebhookVerificationError, ValueError) as error:
        raise Forged("the signature does not fit the body") from error
    if not isinstance(content, dict):
        raise Forged("the body is no object")
    return content


def report(content: Mapping[str, Any]) -> tuple[str, Channel, Report] | None:
    """Transaction id, channel and report of a webhook; None when it is about something else.

    Chat's failures come as `message.sent` with an error in them.
    """
    said = _REPORTS.get(str(content.get("type")))
    data = content.get("data")
    message = data.get("object") if isinstance(data, dict) else None
    if said is None or not isinstance(message, dict) or message.get("channel") not in set(Channel):
        return None
    failed = isinstance(data, dict) and data.get("error") is not None
    return str(message.get("transactionId")), Channel(message["channel"]), Report.FAILED if failed else said
