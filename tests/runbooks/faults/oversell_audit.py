"""Pools whose counters somebody changed by hand, while they are on sale."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runbooks.oversell_audit import OversellAudit
from services.booking.adapters.allocator import Allocator
from services.common.database import arguments, pool
from tests.runbooks.bench import Bench
from tests.runbooks.environment import Environment
from tests.runbooks.faults import Fault
from tests.services.samples import on_sale, wish
from tests.support.databases import PASSWORD, Databases, run


@dataclass(frozen=True)
class Pools:
    """Pools in a database of booking."""

    environment: Environment
    url: str

    def sell(self, *, capacity: int = 10, quantity: int = 3) -> str:
        """A pool that is on sale, with a hold in it; returns its id."""
        return asyncio.run(self._sell(capacity, quantity))

    async def _sell(self, capacity: int, quantity: int) -> str:
        async with pool(self.url, size=2) as booking:
            ticket_type = await on_sale(booking, capacity)
            await Allocator(booking).take(wish(ticket_type, f"buyer-{ticket_type}", quantity=quantity))
            return str(await booking.fetchval("SELECT pool_id FROM ticket_types WHERE id = $1", ticket_type))

    def run(self, statement: str) -> list[dict[str, Any]]:
        """A statement, as somebody types it by hand."""
        return asyncio.run(run(self.url, statement))

    def counters(self) -> list[dict[str, Any]]:
        return self.run("SELECT id::text, held, sold, waiting FROM pools ORDER BY id")

    def sales(self) -> list[dict[str, Any]]:
        """When the sale of each ticket type ends."""
        return self.run("SELECT id::text, sales_until FROM ticket_types ORDER BY id")

    def on_sale(self) -> set[str]:
        """Pools of which something can be bought."""
        found = self.run(
            "SELECT pool_id::text AS pool FROM ticket_types WHERE now() BETWEEN sales_from AND sales_until"
        )
        return {each["pool"] for each in found}


@pytest.fixture
def pools(environment: Environment, databases: Databases) -> Pools:
    url = asyncio.run(databases.create("booking"))
    environment.database("booking", arguments(url))
    return Pools(environment, url)


@pytest.fixture
def oversell_audit(pools: Pools, tmp_path: Path) -> Fault:
    wrong = {pools.sell(), pools.sell()}
    pools.run("UPDATE pools SET held = held - 2")
    return Fault(
        Bench(OversellAudit(), pools.environment, tmp_path),
        state=lambda: (pools.counters(), pools.sales()),
        mended=lambda: not wrong & pools.on_sale(),
        secrets=(PASSWORD,),
    )
