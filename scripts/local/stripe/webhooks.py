"""Delivers events to webhook endpoints, signed as Stripe signs (docs.stripe.com/webhooks/signature)."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import random
import time
from typing import Any

import httpx

from scripts.local.stripe.faults import Faults

PAUSES_SECONDS = (0.0, 0.5, 2.0, 8.0, 30.0)


def signature(payload: bytes, secret: str, at: int) -> str:
    """The value of the `Stripe-Signature` header: HMAC-SHA256 of `timestamp.payload`."""
    mac = hmac.new(secret.encode(), f"{at}.".encode() + payload, hashlib.sha256).hexdigest()
    return f"t={at},v1={mac}"


class Deliverer:
    """Sends each event to each endpoint until it answers 2xx, at most ``len(PAUSES_SECONDS)`` times."""

    def __init__(self, faults: Faults) -> None:
        self.endpoints: dict[str, str] = {}
        self._faults, self._tasks = faults, set[asyncio.Task[None]]()
        self._client = httpx.AsyncClient(timeout=10)

    def announce(self, event: dict[str, Any]) -> None:
        """Deliver ``event`` in the background, as often and as late as the faults say."""
        event["pending_webhooks"] = len(self.endpoints)
        for url, secret in self.endpoints.items():
            for _ in range(max(1, self._faults.duplicate_webhooks)):
                delay = random.uniform(0, 0.5) if self._faults.reorder_webhooks else 0.0
                task = asyncio.get_running_loop().create_task(self._deliver(url, secret, event, delay))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _deliver(self, url: str, secret: str, event: dict[str, Any], delay: float) -> None:
        await asyncio.sleep(delay)
        payload = json.dumps(event, separators=(",", ":")).encode()
        for pause in PAUSES_SECONDS:
            await asyncio.sleep(pause)
            headers = {
                "Stripe-Signature": signature(payload, secret, int(time.time())),
                "Content-Type": "application/json",
            }
            try:
                if (await self._client.post(url, content=payload, headers=headers)).is_success:
                    # Repetitions of a delivery count once.
                    event["pending_webhooks"] = max(0, event["pending_webhooks"] - 1)
                    return
            except httpx.HTTPError:
                continue

    async def aclose(self) -> None:
        """Give up what is not delivered."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.aclose()
