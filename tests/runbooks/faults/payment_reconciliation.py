"""Buyers who have paid for orders that were cancelled, as reconciliation found them."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from runbooks.payment_reconciliation import PaymentReconciliation
from services.common.database import arguments, pool
from tests.runbooks.bench import Bench
from tests.runbooks.environment import ACCOUNT, Environment
from tests.runbooks.faults import Fault
from tests.services.samples import ordered
from tests.support.databases import PASSWORD, Databases, run

BOB = f"arn:aws:sts::{ACCOUNT}:assumed-role/incident/bob"
_PAYMENT = """
  INSERT INTO payments (order_id, attempt, buyer_id, amount, currency, payment_method, status, intent_id)
  VALUES ($1, 1, $2, $3, 'eur', 'pm_card_visa', $4, $5)"""
_WINDOW = """
  INSERT INTO reconciliations (since, until, lease_until)
  VALUES ($1::timestamptz, $1::timestamptz + interval '1 hour', $1::timestamptz) ON CONFLICT DO NOTHING"""
_DIFFERENCE = """
  INSERT INTO discrepancies (since, subject, kind, ours, theirs) VALUES ($1, $2, 'amount', '5000', '5001')"""
_SINCE = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Books:
    """Orders in booking, their payments, and who AWS says has written a parameter: moto does not."""

    environment: Environment
    urls: dict[str, str]
    approver: str = BOB

    def answered(self, model: Any, parsed: dict[str, Any], **_: Any) -> None:
        if model.name == "GetParameterHistory":
            for each in parsed.get("Parameters", ()):
                each["LastModifiedUser"] = self.approver

    def charge(self, *, order: str = "cancelled", payment: str = "captured", differs: bool = True) -> str:
        """An order of 5000 that was paid for; returns its id."""
        return asyncio.run(self._charge(order, payment, differs))

    async def _charge(self, status: str, payment: str, differs: bool) -> str:
        async with pool(self.urls["booking"], size=2) as booking:
            order = await ordered(booking)
            await booking.execute("UPDATE orders SET status = $2 WHERE id = $1", order.id, status)
            await booking.execute("UPDATE holds SET status = 'released' WHERE id = $1", order.hold_id)
        async with pool(self.urls["payment"], size=2) as books:
            intent = f"pi_{uuid.uuid4().hex}"
            await books.execute(_PAYMENT, order.id, order.buyer_id, order.amount, payment, intent)
            if differs:
                await books.execute(_WINDOW, _SINCE)
                await books.execute(_DIFFERENCE, _SINCE, intent)
        return str(order.id)

    def run(self, statement: str) -> list[dict[str, Any]]:
        """A statement on payment's database."""
        return asyncio.run(run(self.urls["payment"], statement))

    def refunds(self) -> list[dict[str, Any]]:
        return self.run("SELECT order_id::text, amount, status, reason FROM refunds ORDER BY order_id")


@pytest.fixture
def books(environment: Environment, databases: Databases) -> Books:
    urls = {service: asyncio.run(databases.create(service)) for service in ("booking", "payment")}
    for service, url in urls.items():
        environment.database(service, arguments(url))
    made = Books(environment, urls)
    environment.hooks["after-call"] = made.answered
    return made


@pytest.fixture
def payment_reconciliation(books: Books, tmp_path: Path) -> Fault:
    orders = sorted([books.charge(), books.charge()])
    bench = Bench(PaymentReconciliation(), books.environment, tmp_path)
    replace(bench, folder=tmp_path / "of-bob").given(approve=True).applied()
    return Fault(
        bench,
        state=books.refunds,
        mended=lambda: (
            [(each["order_id"], each["status"]) for each in books.refunds()]
            == [(order, "requested") for order in orders]
        ),
        secrets=(PASSWORD,),
    )
