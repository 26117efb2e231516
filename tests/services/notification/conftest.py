"""A local Novu that is as it was before each test, and what the tests ask of it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

import asyncpg
import httpx
import pytest

from services.contracts import Event, EventMessage
from services.notification import bootstrap
from services.notification.adapters.novu import NovuNotifier
from services.notification.sending import Sender
from services.notification.workflows.model import Channel

SITE = "https://tickets.event-platform.example"


class Novu:
    """The local Novu, seen from outside."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def delivered(self, subscriber: str) -> list[dict[str, Any]]:
        """What ``subscriber`` was sent, in the order of arrival."""
        answer = (await self._client.get("/_local/delivered")).json()
        return [entry for entry in answer["delivered"] if entry["to"]["subscriberId"] == subscriber]

    async def transactions(self, subscriber: str) -> list[str]:
        return [entry["transactionId"] for entry in await self.delivered(subscriber)]

    async def fail(self, **wanted: object) -> None:
        """The next ``count`` triggers fail, ``when`` before or after they are carried out."""
        (await self._client.post("/_local/failures", json=wanted)).raise_for_status()

    async def report_to(self, url: str, secret: str, **wanted: object) -> None:
        answer = await self._client.post("/_local/webhook", json={"url": url, "secret": secret, **wanted})
        answer.raise_for_status()

    async def get(self, path: str) -> Any:
        return (await self._client.get(path, headers={"Authorization": "ApiKey novu-local"})).json()


@pytest.fixture
async def novu(novu_server: str) -> AsyncIterator[Novu]:
    async with httpx.AsyncClient(base_url=novu_server) as client:
        made = Novu(client)
        yield made
        await made.fail(count=0, status=503, when="before", channels=[])
        await made.report_to("", "")


@pytest.fixture
async def notifier(novu_server: str) -> AsyncIterator[NovuNotifier]:
    made = NovuNotifier("novu-local-key", novu_server)
    yield made
    await made.aclose()


@pytest.fixture
def sender(notification: asyncpg.Pool, notifier: NovuNotifier) -> Sender:
    """A sender that no rate limits."""
    return make_sender(notification, notifier)


def make_sender(pool: asyncpg.Pool, notifier: Any, per_second: Mapping[Channel, float] | None = None) -> Sender:
    return bootstrap.sender(pool, notifier, site=SITE, per_second=per_second or {})


def event(kind: Event, order: str | None = None, **ids: str) -> EventMessage:
    """An event of an order and its buyer."""
    order = order or str(uuid.uuid4())
    known = {"orderId": order, "buyerId": f"buyer-of-{order}", "eventId": str(uuid.uuid4()), **ids}
    return EventMessage(id=str(uuid.uuid4()), type=kind, occurred_at="2030-01-01T00:00:00+00:00", ids=known)


async def status(pool: asyncpg.Pool, transaction: str) -> str:
    found: str = await pool.fetchval("SELECT status FROM deliveries WHERE transaction_id = $1", transaction)
    return found


async def all_due(pool: asyncpg.Pool) -> None:
    """As if whatever waits had waited, and whoever holds a lease had died long ago."""
    await pool.execute("UPDATE deliveries SET due_at = now() WHERE status = 'pending'")
    await pool.execute("UPDATE deliveries SET lease_until = now() - interval '1 s' WHERE status = 'sending'")
