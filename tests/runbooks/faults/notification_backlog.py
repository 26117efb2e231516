"""Deliveries that were given up while Novu was away, and marketing that nobody wants to read any more."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runbooks.notification_backlog import CATEGORIES, NotificationBacklog
from services.common.database import arguments
from tests.runbooks.bench import Bench
from tests.runbooks.environment import Environment
from tests.runbooks.faults import Fault
from tests.support.databases import PASSWORD, Databases, run


@dataclass(frozen=True)
class Deliveries:
    """Notification's deliveries on a real server."""

    environment: Environment
    url: str

    def put(self, name: str, category: str = "tickets", status: str = "dead", **columns: Any) -> str:
        """A delivery; ``hours`` is its age, ``of`` the digest that it is in. Returns its id."""
        asyncio.run(
            run(
                self.url,
                """INSERT INTO deliveries (transaction_id, workflow, subscriber_id, payload, priority, status, reason,
                     digest_id, attempts, created_at, due_at, decided_at)
                   VALUES ($1, $2, 'somebody', '{}', $3, $4, $5, $6, 15, now() - $7 * interval '1 hour',
                     now(), now())""",
                *(name, f"workflow-{category}", CATEGORIES.index(category), status),
                *(columns.get("reason"), columns.get("of"), float(columns.get("hours", 0))),
            )
        )
        return name

    def change(self, statement: str) -> None:
        asyncio.run(run(self.url, statement))

    @property
    def statuses(self) -> dict[str, str]:
        rows = asyncio.run(run(self.url, "SELECT transaction_id, status FROM deliveries ORDER BY 1"))
        return {row["transaction_id"]: row["status"] for row in rows}


@pytest.fixture
def deliveries(environment: Environment, databases: Databases) -> Deliveries:
    url = asyncio.run(databases.create("notification"))
    environment.database("notification", arguments(url))
    return Deliveries(environment, url)


@pytest.fixture
def notification_backlog(environment: Environment, deliveries: Deliveries, tmp_path: Path) -> Fault:
    deliveries.put("ticket", reason="APIError")
    deliveries.put("poison", reason="KeyError")
    deliveries.put("old", "marketing", "pending", hours=72)
    wanted = {"ticket": "pending", "poison": "dead", "old": "suppressed"}
    return Fault(
        Bench(NotificationBacklog(expire_marketing=48), environment, tmp_path),
        state=lambda: deliveries.statuses,
        mended=lambda: deliveries.statuses == wanted,
        secrets=(PASSWORD,),
    )
