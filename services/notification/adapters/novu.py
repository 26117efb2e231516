"""Novu's HTTP API through its own SDK."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import httpx
from novu_py import Novu, models
from novu_py.models import NovuError
from novu_py.utils import BackoffStrategy, RetryConfig

from services.notification.ports import Message

TIMEOUT_MS = 10_000
# Two quick tries within one attempt, with the SDK's own jitter; the longer pauses are the queue's.
_RETRIES = RetryConfig("backoff", BackoffStrategy(200, 1_000, 1.5, 3_000), True)
# Novu's largest page (docs.novu.co, "List all workflows").
_PAGE = 100


class NovuNotifier:
    """The Notifier port on Novu. One client per process; close it with `aclose`."""

    def __init__(self, api_key: str, api_base: str) -> None:
        self._client = httpx.AsyncClient(timeout=TIMEOUT_MS / 1000)
        self._novu = Novu(secret_key=api_key, server_url=api_base, async_client=self._client)

    async def trigger(self, message: Message) -> None:
        """Trigger the workflow; Novu ignores a transactionId that it has seen. Raises on any refusal.

        The subscriber is made, or brought to the locale and time zone, by the same call.
        """
        content = {channel.value: dict(parts) for channel, parts in message.content.items()}
        await self._novu.trigger_async(
            trigger_event_request_dto={
                "workflow_id": message.workflow,
                "to": {
                    "subscriber_id": message.subscriber_id,
                    "locale": message.preferences.locale.value,
                    "timezone": message.preferences.time_zone,
                },
                "payload": {**message.ids, **content, "channels": sorted(content)},
                "transaction_id": message.transaction_id,
            },
            idempotency_key=message.transaction_id,
            retries=_RETRIES,
            timeout_ms=TIMEOUT_MS,
        )

    async def erase(self, subscriber_id: str) -> None:
        """Delete a subscriber, with messages, preferences and subscriptions. Raises on any refusal."""
        try:
            await self._novu.subscribers.delete_async(
                subscriber_id=subscriber_id, retries=_RETRIES, timeout_ms=TIMEOUT_MS
            )
        except NovuError as error:
            if error.status_code != HTTPStatus.NOT_FOUND:
                raise

    async def workflow(self, name: str) -> dict[str, Any] | None:
        """A workflow in the form in which it is written, as far as it is known here; None when there is none."""
        listed = await self._novu.workflows.list_async(
            request={"query": name, "limit": _PAGE}, retries=_RETRIES, timeout_ms=TIMEOUT_MS
        )
        if name not in {found.workflow_id for found in listed.result.workflows}:
            return None
        answer = await self._novu.workflows.get_async(workflow_id=name, retries=_RETRIES, timeout_ms=TIMEOUT_MS)
        return answer.result.model_dump(mode="json", by_alias=True)

    async def create(self, definition: dict[str, Any]) -> None:
        """Make a workflow. Raises on any refusal."""
        await self._novu.workflows.create_async(
            create_workflow_dto=models.CreateWorkflowDto.model_validate(definition),
            retries=_RETRIES,
            timeout_ms=TIMEOUT_MS,
        )

    async def update(self, name: str, definition: dict[str, Any]) -> None:
        """Replace what a workflow is. Raises on any refusal."""
        await self._novu.workflows.update_async(
            workflow_id=name,
            update_workflow_dto=models.UpdateWorkflowDto.model_validate(definition),
            retries=_RETRIES,
            timeout_ms=TIMEOUT_MS,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()
