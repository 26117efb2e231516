"""The use case that empties the queue: what is due is rendered, and handed to Novu.

A crash at any point leads to the end of a lease, and that to another attempt under the same transaction id.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from prometheus_client import Counter

from services.common import logs, loops
from services.notification import domain
from services.notification.domain import MOST_ATTEMPTS, Status
from services.notification.ports import Leased, Limits, Message, Notifier, Queue, Renderer, Subscribers
from services.notification.workflows import WORKFLOWS

log = logs.get(__name__)

# Handed over side by side. A ticket that becomes due waits for as many at most.
BATCH: Final = 8
# Seconds between looks at an empty queue, and after a fault of the database.
IDLE, FAULT = 0.25, 2.0
# Seconds until a message that a rate limit held up is looked at again.
LIMITED: Final = 0.5

DELIVERIES = Counter(
    "notification_deliveries_total", "Deliveries, by what became of an attempt", ["workflow", "outcome"]
)


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends what is due. Idempotency: the delivery's transaction id. Retries: its own, with back-off, then dead."""

    queue: Queue
    subscribers: Subscribers
    limits: Limits
    renderer: Renderer
    notifier: Notifier
    now: Callable[[], datetime] = _now

    async def run(self, stop: asyncio.Event) -> None:
        """Send until ``stop``, and finish what is in hand; a fault of the database is waited out."""
        # Whatever went wrong: leases end by themselves.
        await loops.every("deliveries", self.pass_once, IDLE, stop, faults=(Exception,), rest=FAULT)

    async def pass_once(self) -> int:
        """Send one batch; returns how many deliveries were leased."""
        batch = await self.queue.lease(BATCH)
        results = await asyncio.gather(*map(self._send, batch), return_exceptions=True)
        for leased, result in zip(batch, results, strict=True):
            if isinstance(result, BaseException):
                log.warning("delivery left to its lease", delivery=leased.transaction_id, error=result)
        return len(batch)

    async def _send(self, leased: Leased) -> None:
        workflow = WORKFLOWS.get(leased.workflow)
        if workflow is None:
            await self._close(leased, Status.DEAD, "no such workflow")
            return
        preferences = await self.subscribers.preferences(leased.subscriber_id)
        channels = preferences.channels(workflow)
        if not channels:
            await self._close(leased, Status.SUPPRESSED, "not wanted")
            return
        now = self.now()
        quiet = (preferences.due(workflow, now) - now).total_seconds()
        if quiet > 0:
            await self._later(leased, quiet, "quiet hours", tried=False)
            return
        if not await self.limits.take(channels):
            await self._later(leased, LIMITED, "rate limit", tried=False)
            return
        try:
            content = self.renderer.render(workflow, preferences.locale, channels, leased.payloads)
            await self.notifier.trigger(
                Message(
                    leased.transaction_id,
                    leased.workflow,
                    leased.subscriber_id,
                    preferences,
                    leased.payloads[0],
                    content,
                )
            )
        except Exception as error:  # whatever it is, the delivery is tried again, and in the end a person looks
            await self._failed(leased, error)
            return
        if await self.queue.sent(leased, channels):
            DELIVERIES.labels(leased.workflow, "sent").inc()

    async def _failed(self, leased: Leased, error: Exception) -> None:
        reason = type(error).__name__  # not its text, which may quote what was sent
        if leased.attempt >= MOST_ATTEMPTS:
            await self._close(leased, Status.DEAD, reason)
            log.error("delivery is dead", delivery=leased.transaction_id, attempts=leased.attempt, error=reason)
            return
        log.warning("delivery failed", delivery=leased.transaction_id, attempt=leased.attempt, error=reason)
        await self._later(leased, domain.pause(leased.attempt, random.random()), reason, tried=True)

    async def _later(self, leased: Leased, seconds: float, reason: str, *, tried: bool) -> None:
        if await self.queue.later(leased, seconds, reason, tried=tried):
            DELIVERIES.labels(leased.workflow, "failed" if tried else reason).inc()

    async def _close(self, leased: Leased, status: Status, reason: str) -> None:
        if await self.queue.close(leased, status, reason):
            DELIVERIES.labels(leased.workflow, status).inc()
