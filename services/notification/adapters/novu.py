"""Novu's HTTP API through its own SDK."""

from __future__ import annotations

import httpx
from novu_py import Novu
from novu_py.utils import BackoffStrategy, RetryConfig

from services.notification.domain import Delivery

TIMEOUT_MS = 10_000
# Two quick tries within one delivery; the longer pauses are the state machine's and the queue's.
_RETRIES = RetryConfig("backoff", BackoffStrategy(200, 1_000, 1.5, 3_000), True)


class NovuNotifier:
    """The Notifier port on Novu. One client per process; close it with `aclose`."""

    def __init__(self, api_key: str, api_base: str) -> None:
        self._client = httpx.AsyncClient(timeout=TIMEOUT_MS / 1000)
        self._novu = Novu(secret_key=api_key, server_url=api_base, async_client=self._client)

    async def trigger(self, delivery: Delivery) -> None:
        """Trigger the workflow; Novu ignores a transactionId that it has seen. Raises on any refusal."""
        await self._novu.trigger_async(
            trigger_event_request_dto={
                "workflow_id": delivery.workflow,
                "to": {"subscriber_id": delivery.subscriber_id},
                "payload": dict(delivery.payload),
                "transaction_id": delivery.transaction_id,
            },
            idempotency_key=delivery.transaction_id,
            retries=_RETRIES,
            timeout_ms=TIMEOUT_MS,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()
