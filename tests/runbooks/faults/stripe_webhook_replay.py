"""Events that Stripe could not deliver, in a file as its CLI writes it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runbooks.stripe_webhook_replay import StripeWebhookReplay
from services.common.database import arguments
from tests.runbooks.bench import Bench
from tests.runbooks.environment import Environment
from tests.runbooks.faults import Fault
from tests.support.databases import PASSWORD, Databases, run


@dataclass(frozen=True)
class Webhooks:
    """Payment's webhook events on a real server, and a folder for files of events."""

    environment: Environment
    url: str
    folder: Path

    def file(self, *events: dict[str, Any], name: str = "events.json") -> Path:
        """A list of events as Stripe writes it."""
        path = self.folder / name
        path.write_text(json.dumps({"object": "list", "data": list(events), "has_more": False}))
        return path

    def arrive(self, name: str, kind: str) -> None:
        """An event that was delivered after all."""
        self.run("INSERT INTO webhook_events (id, type) VALUES ($1, $2)", name, kind)

    @property
    def recorded(self) -> list[tuple[str, str | None, str | None]]:
        """Id, intent and object of each, in the order in which they came."""
        rows = self.run("SELECT id, intent_id, object_id FROM webhook_events ORDER BY received_at")
        return [tuple(row.values()) for row in rows]

    def run(self, statement: str, *values: Any) -> Sequence[Any]:
        return asyncio.run(run(self.url, statement, *values))


def event(name: str, kind: str, about: dict[str, Any], created: int, *, live: bool = True) -> dict[str, Any]:
    """An event as Stripe's API gives it, as far as it matters here."""
    return {
        "id": name,
        "object": "event",
        "type": kind,
        "created": created,
        "livemode": live,
        "data": {"object": about},
    }


REFUND = event("evt_2", "charge.refunded", {"object": "charge", "id": "ch_1", "payment_intent": "pi_1"}, 2)
INTENT = event("evt_1", "payment_intent.succeeded", {"object": "payment_intent", "id": "pi_1"}, 1)
PAYOUT = event("evt_3", "payout.paid", {"object": "payout", "id": "po_1"}, 3)


@pytest.fixture
def webhooks(environment: Environment, databases: Databases, tmp_path: Path) -> Webhooks:
    url = asyncio.run(databases.create("payment"))
    environment.database("payment", arguments(url))
    return Webhooks(environment, url, tmp_path)


@pytest.fixture
def stripe_webhook_replay(environment: Environment, webhooks: Webhooks, tmp_path: Path) -> Fault:
    webhooks.arrive("evt_2", "charge.refunded")
    runbook = StripeWebhookReplay(events=[webhooks.file(PAYOUT, REFUND, INTENT)])
    return Fault(
        Bench(runbook, environment, tmp_path),
        state=lambda: webhooks.recorded,
        mended=lambda: webhooks.recorded == [("evt_2", None, None), ("evt_1", "pi_1", None), ("evt_3", None, "po_1")],
        secrets=(PASSWORD,),
    )
