"""What the local Novu reports of its messages, signed as Svix does, in the order and number that a test asks for."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
from standardwebhooks.webhooks import Webhook


def events(
    transaction: str, subscriber: str, channels: Sequence[str], *, failing: Sequence[str]
) -> list[dict[str, Any]]:
    """`message.sent` and `message.delivered` of each channel, or `message.failed` for those that are ``failing``."""
    kinds = [
        (channel, kind)
        for channel in channels
        for kind in (("message.failed",) if channel in failing else ("message.sent", "message.delivered"))
    ]
    return [
        {
            "id": f"evt_{secrets.token_hex(12)}",
            "type": kind,
            "object": "message",
            "timestamp": datetime.now(UTC).isoformat(),
            "data": {
                "object": {
                    "_id": secrets.token_hex(12),
                    "transactionId": transaction,
                    "subscriberId": subscriber,
                    "channel": channel,
                },
                **({"error": {"message": "failing on request"}} if kind == "message.failed" else {}),
            },
        }
        for channel, kind in kinds
    ]


class Sender:
    """Sends events to one endpoint; none until it is set."""

    def __init__(self) -> None:
        self.url, self.secret, self.duplicates, self.reorder = "", "", 1, False
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, said: Sequence[dict[str, Any]]) -> None:
        """Send each event, as often as asked, after this returns."""
        if not self.url:
            return
        ordered = list(reversed(said)) if self.reorder else list(said)
        task = asyncio.create_task(self._deliver(ordered * self.duplicates))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, said: Sequence[dict[str, Any]]) -> None:
        signer = Webhook(self.secret)
        async with httpx.AsyncClient(timeout=5) as client:
            for event in said:
                # The id is the event's, so that what is sent again can be recognised.
                body, now, name = json.dumps(event), datetime.now(UTC), f"msg_{event['id']}"
                headers = {
                    "Content-Type": "application/json",
                    "svix-id": name,
                    "svix-timestamp": str(int(now.timestamp())),
                    "svix-signature": signer.sign(name, now, body),
                }
                try:
                    await client.post(self.url, content=body, headers=headers)
                except httpx.HTTPError:
                    continue
