"""Each move of money is in the ledger once, balanced, and for good."""

from __future__ import annotations

import asyncio
import uuid

import asyncpg
import pytest
from alembic import command

from scripts.deployment import ROOT
from services.common import database, migrations
from services.contracts import Command
from services.payment import following
from services.payment.adapters.stripe import StripeProcessor
from services.payment.adapters.transactions import transactions
from services.payment.domain import fee_of
from tests.services.payment.support import balances, captured, carry_out
from tests.support.databases import Databases

FOLDER = ROOT / "services" / "payment" / "migrations"


async def test_a_capture_is_owed_to_the_organiser_but_for_the_fee(
    payment: asyncpg.Pool, processor: StripeProcessor, order: str
) -> None:
    await captured(payment, processor, order, fee=250)
    assert await balances(payment) == {"processor_clearing": 5_000, "organiser_payable": -4_875, "platform_fee": -125}


async def test_an_authorisation_is_no_money(payment: asyncpg.Pool, processor: StripeProcessor, order: str) -> None:
    await carry_out(payment, processor, Command.AUTHORISE, order)
    await carry_out(payment, processor, Command.CANCEL_PAYMENT, order)
    assert await balances(payment) == {}


async def test_a_capture_that_is_told_of_again_and_again_is_posted_once(
    payment: asyncpg.Pool, processor: StripeProcessor, order: str
) -> None:
    paid = await captured(payment, processor, order)
    await payment.execute("UPDATE payments SET status = 'authorised'")
    for _ in range(3):
        await following.follow_intent(processor, transactions(payment), str(paid.intent_id))
    assert await payment.fetchval("SELECT count(*) FROM ledger_transactions") == 1


@pytest.mark.parametrize("amounts", [[], [5], [5, -4]])
async def test_what_does_not_balance_cannot_be_committed(payment: asyncpg.Pool, amounts: list[int]) -> None:
    async def post() -> None:
        async with payment.acquire() as connection, connection.transaction():
            made = uuid.uuid4()
            await connection.execute("INSERT INTO ledger_transactions (id, cause, kind) VALUES ($1, 'c', 'k')", made)
            for account, amount in zip(("bank", "processor_clearing"), amounts, strict=False):
                await connection.execute("INSERT INTO ledger_entries VALUES ($1, $2, 'eur', $3)", made, account, amount)

    with pytest.raises(asyncpg.CheckViolationError, match="does not balance"):
        await post()
    assert await payment.fetchval("SELECT count(*) FROM ledger_transactions") == 0


async def test_two_currencies_do_not_make_up_for_each_other(payment: asyncpg.Pool) -> None:
    entries = "('bank', 'eur', 5), ('processor_clearing', 'usd', -5)"
    with pytest.raises(asyncpg.CheckViolationError):
        await payment.execute(
            f"""WITH made AS (INSERT INTO ledger_transactions (id, cause, kind)
                              VALUES (gen_random_uuid(), 'c', 'k') RETURNING id)
                INSERT INTO ledger_entries SELECT id, e.* FROM made, (VALUES {entries}) AS e"""
        )


async def test_a_transaction_is_closed_once_it_is_written(
    payment: asyncpg.Pool, processor: StripeProcessor, order: str
) -> None:
    await captured(payment, processor, order)
    with pytest.raises(asyncpg.CheckViolationError, match="is closed"):
        await payment.execute(
            """INSERT INTO ledger_entries
               SELECT id, e.* FROM ledger_transactions, (VALUES ('bank', 'eur', 5), ('disputes', 'eur', -5)) AS e"""
        )


@pytest.mark.parametrize("role", ["service", "owner"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_entries SET amount = -amount",
        "DELETE FROM ledger_entries",
        "UPDATE ledger_transactions SET cause = 'another'",
        "DELETE FROM ledger_transactions",
    ],
)
async def test_nobody_changes_what_is_written(
    payment: asyncpg.Pool, databases: Databases, processor: StripeProcessor, order: str, role: str, statement: str
) -> None:
    await captured(payment, processor, order)
    connection = await asyncpg.connect(**database.arguments(getattr(databases, role)("payment")))
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="only added to"):
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("amount", "basis_points", "fee"), [(5_000, 0, 0), (999, 250, 24), (1, 9_999, 0), (7, 10_000, 7)]
)
def test_a_fee_is_rounded_in_favour_of_the_organiser(amount: int, basis_points: int, fee: int) -> None:
    assert fee_of(amount, basis_points) == fee


async def test_what_was_captured_before_there_was_a_ledger_is_in_it(
    payment: asyncpg.Pool, databases: Databases, processor: StripeProcessor, order: str
) -> None:
    owner = databases.owner("payment")
    await asyncio.to_thread(_migrate, owner, "0001")
    for name, state, refund in (("1", "captured", None), ("2", "refunded", "re_1"), ("3", "cancelled", None)):
        await payment.execute(
            """INSERT INTO payments (order_id, attempt, buyer_id, amount, currency, payment_method, status, refund_id)
               VALUES ($1, 1, 'buyer-1', 700, 'eur', 'pm_card_visa', $2, $3)""",
            uuid.uuid5(uuid.UUID(order), name),
            state,
            refund,
        )
    await asyncio.to_thread(_migrate, owner, "head")
    connection = await asyncpg.connect(**database.arguments(owner))
    try:
        rows = await connection.fetch("SELECT account, sum(amount) FROM ledger_entries GROUP BY 1 ORDER BY 1")
        assert [tuple(row) for row in rows] == [("organiser_payable", -700), ("processor_clearing", 700)]
        assert await connection.fetchval("SELECT provider_id FROM refunds") == "re_1"
    finally:
        await connection.close()


def _migrate(url: str, revision: str) -> None:
    async def run() -> None:
        engine = migrations._engine(url)
        async with engine.connect() as connection:
            await connection.run_sync(_step, revision)
            await connection.commit()
        await engine.dispose()

    def _step(connection: object, to: str) -> None:
        config = migrations.configuration(FOLDER)
        config.attributes["connection"] = connection
        (command.downgrade if to == "0001" else command.upgrade)(config, to)

    asyncio.run(run())
