"""Payments in PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg

from services.common import erasure
from services.payment.domain import OPEN, Payment, Status

_COLUMNS = """order_id, attempt, buyer_id, amount, currency, payment_method, status, intent_id, refund_id, reason,
              created_at, fee, client_secret, action_deadline"""


class PostgresStore:
    """The Store port on one connection, within the caller's transaction."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._db = connection

    async def start(self, payment: Payment) -> Payment:
        """Write a payment unless it exists."""
        known = await erasure.remaining(self._db, [payment.buyer_id])
        await self._db.execute(
            """INSERT INTO payments (order_id, attempt, buyer_id, amount, currency, payment_method, status, fee)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING""",
            payment.order_id,
            payment.attempt,
            payment.buyer_id if known else erasure.NOTHING,
            payment.amount,
            payment.currency,
            payment.payment_method if known else erasure.NOTHING,
            (payment.status if known else Status.CANCELLED).value,
            payment.fee,
        )
        return await self.payment(payment.order_id, payment.attempt) or payment

    async def payment(self, order_id: uuid.UUID, attempt: int) -> Payment | None:
        """A payment."""
        return await self._one("order_id = $1 AND attempt = $2", order_id, attempt)

    async def lock(self, order_id: uuid.UUID, attempt: int) -> Payment | None:
        """A payment, locked until the transaction ends."""
        return await self._one("order_id = $1 AND attempt = $2 FOR UPDATE", order_id, attempt)

    async def paid(self, order_id: uuid.UUID) -> Payment | None:
        """The payment of an order that was captured."""
        return await self._one(
            "order_id = $1 AND status IN ('captured', 'refunded') ORDER BY attempt LIMIT 1", order_id
        )

    async def erase(self, person: str, pseudonym: str) -> tuple[int, int]:
        """Put a pseudonym into a person's payments."""
        await erasure.erase_once(self._db, person)
        rows = await self._db.fetch(
            """UPDATE payments SET buyer_id = $2, payment_method = $3, client_secret = NULL, updated_at = now()
               WHERE buyer_id = $1 RETURNING status""",
            person,
            pseudonym,
            erasure.NOTHING,
        )
        return len(rows), sum(Status(row["status"]) in OPEN for row in rows)

    async def attach(self, payment: Payment, intent_id: str) -> None:
        """Remember the intent of a payment; the first one stands."""
        await self._db.execute(
            "UPDATE payments SET intent_id = $3 WHERE order_id = $1 AND attempt = $2 AND intent_id IS NULL",
            payment.order_id,
            payment.attempt,
            intent_id,
        )

    async def await_action(self, payment: Payment, client_secret: str | None, deadline: datetime) -> bool:
        """Compare-and-set to ACTION_REQUIRED."""
        done = await self._db.execute(
            """UPDATE payments SET status = 'action_required', client_secret = $3, action_deadline = $4,
                      updated_at = now()
               WHERE order_id = $1 AND attempt = $2 AND status = 'started'""",
            payment.order_id,
            payment.attempt,
            client_secret,
            deadline,
        )
        return bool(done == "UPDATE 1")

    async def move(
        self,
        payment: Payment,
        expected: Sequence[Status],
        to: Status,
        *,
        reason: str | None = None,
        refund_id: str | None = None,
    ) -> bool:
        """Compare-and-set of the status; the client secret is of use to nobody after it."""
        done = await self._db.execute(
            """UPDATE payments SET status = $4, reason = coalesce($5, reason), refund_id = coalesce($6, refund_id),
                      client_secret = NULL, updated_at = now()
               WHERE order_id = $1 AND attempt = $2 AND status = ANY($3)""",
            payment.order_id,
            payment.attempt,
            [status.value for status in expected],
            to.value,
            reason,
            refund_id,
        )
        return bool(done == "UPDATE 1")

    async def _one(self, condition: str, *values: object) -> Payment | None:
        row = await self._db.fetchrow(f"SELECT {_COLUMNS} FROM payments WHERE {condition}", *values)
        return None if row is None else _payment(row)


async def payments_made_about(pool: asyncpg.Pool, since: datetime, until: datetime) -> list[Payment]:
    """The payments that were made from ``since`` to before ``until``, and those whose intents may have been.

    An intent is made after its payment, by up to a day when the provider was away.
    """
    rows = await pool.fetch(
        f"SELECT {_COLUMNS} FROM payments WHERE created_at >= $1::timestamptz - interval '1 day' AND created_at < $2",
        since,
        until,
    )
    return [_payment(row) for row in rows]


def _payment(row: Any) -> Payment:
    return Payment(**{**row, "status": Status(row["status"])})
