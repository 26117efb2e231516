"""The ledger, disputes and payouts in PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import asyncpg

from services.payment.domain import SETTLED, Dispute, Payment, Payout
from services.payment.ledger import Account, Posting


class PostgresLedger:
    """The Ledger port on one connection; the database checks at the commit that each transaction balances."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._db = connection

    async def post(self, posting: Posting) -> bool:
        """Write a posting unless its cause has one."""
        transaction_id = uuid.uuid4()
        order_id, attempt = posting.payment or (None, None)
        done = await self._db.execute(
            """INSERT INTO ledger_transactions (id, cause, kind, order_id, attempt) VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (cause) DO NOTHING""",
            transaction_id,
            posting.cause,
            posting.kind,
            order_id,
            attempt,
        )
        if done != "INSERT 0 1":
            return False
        await self._db.executemany(
            "INSERT INTO ledger_entries (transaction_id, account, currency, amount) VALUES ($1, $2, $3, $4)",
            [
                (transaction_id, account.value, posting.currency, amount)
                for account, amount in posting.entries.items()
                if amount
            ],
        )
        return True

    async def posted(self, cause: str) -> Mapping[Account, int]:
        """The entries of a cause."""
        rows = await self._db.fetch(
            """SELECT e.account, e.amount FROM ledger_entries e JOIN ledger_transactions t ON t.id = e.transaction_id
               WHERE t.cause = $1""",
            cause,
        )
        return {Account(row["account"]): row["amount"] for row in rows}

    async def balance(self, payment: Payment, account: Account) -> int:
        """The sum of a payment's entries in an account."""
        total: int = await self._db.fetchval(
            """SELECT coalesce(sum(e.amount), 0)::bigint
               FROM ledger_entries e JOIN ledger_transactions t ON t.id = e.transaction_id
               WHERE t.order_id = $1 AND t.attempt = $2 AND e.account = $3""",
            payment.order_id,
            payment.attempt,
            account.value,
        )
        return total


class PostgresDisputes:
    """The Disputes port on one connection."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._db = connection

    async def follow(self, payment: Payment, dispute: Dispute) -> bool:
        """Write a dispute, or its new status unless it is settled."""
        written = await self._db.fetchval(
            """INSERT INTO disputes AS d (id, order_id, attempt, amount, reason, status)
               VALUES ($1, $2, $3, $4, $5, $6)
               ON CONFLICT (id) DO UPDATE SET status = EXCLUDED.status, amount = EXCLUDED.amount, updated_at = now()
               WHERE d.status <> EXCLUDED.status AND NOT d.status = ANY($7) RETURNING true""",
            dispute.id,
            payment.order_id,
            payment.attempt,
            dispute.amount,
            dispute.reason,
            dispute.status,
            SETTLED,
        )
        return bool(written)

    async def of(self, payment: Payment) -> list[Dispute]:
        """The disputes of a payment."""
        rows = await self._db.fetch(
            "SELECT id, amount, status, reason FROM disputes WHERE order_id = $1 AND attempt = $2",
            payment.order_id,
            payment.attempt,
        )
        return [Dispute(**row) for row in rows]


class PostgresPayouts:
    """The Payouts port on one connection."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._db = connection

    async def follow(self, payout: Payout) -> int:
        """Write a payout or its present state; returns what was reversed before. What came back stays back."""
        await self._db.execute(
            """INSERT INTO payouts (id, kind, amount, currency, status, destination, created_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING""",
            payout.id,
            payout.kind,
            payout.amount,
            payout.currency,
            payout.status,
            payout.destination,
            payout.created_at,
        )
        before: int = await self._db.fetchval("SELECT reversed FROM payouts WHERE id = $1 FOR UPDATE", payout.id)
        await self._db.execute(
            "UPDATE payouts SET status = $2, reversed = greatest(reversed, $3), updated_at = now() WHERE id = $1",
            payout.id,
            payout.status,
            payout.reversed,
        )
        return before

    async def page(self, before: datetime | None, limit: int) -> list[dict[str, Any]]:
        """The newest payouts that were made before ``before``."""
        rows = await self._db.fetch(
            """SELECT id, kind, amount, reversed, currency, status, destination, created_at FROM payouts
               WHERE $1::timestamptz IS NULL OR created_at < $1 ORDER BY created_at DESC, id LIMIT $2""",
            before,
            limit,
        )
        return [dict(row) for row in rows]
