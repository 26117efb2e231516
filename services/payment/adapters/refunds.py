"""Refunds in PostgreSQL."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import asyncpg

from services.payment.domain import BY_SAGA, Payment, Refund, RefundStatus

_COLUMNS = "id, order_id, attempt, amount, reason, status, provider_id, failure, requested_at"
# Seconds: a refund that the provider has not settled is looked at ever more rarely.
_PAUSES = (60.0, 3_600.0)


class PostgresRefunds:
    """The Refunds port on one connection, within the caller's transaction."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._db = connection

    async def add(self, refund: Refund, *, failure: str | None = None) -> bool:
        """Write a refund; whoever writes one that is REQUESTED has a minute to carry it out before the loop does."""
        done = await self._db.execute(
            """INSERT INTO refunds (id, order_id, attempt, amount, reason, status, provider_id, failure, available_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now() + $9 * interval '1 second') ON CONFLICT DO NOTHING""",
            refund.id,
            refund.order_id,
            refund.attempt,
            refund.amount,
            refund.reason,
            (refund.status if failure is None else RefundStatus.FAILED).value,
            refund.provider_id,
            failure,
            _PAUSES[0] if refund.reason == BY_SAGA else 0.0,
        )
        return bool(done == "INSERT 0 1")

    async def get(self, refund_id: uuid.UUID) -> Refund | None:
        """A refund."""
        row = await self._db.fetchrow(f"SELECT {_COLUMNS} FROM refunds WHERE id = $1", refund_id)
        return None if row is None else _refund(row)

    async def of(self, payment: Payment) -> list[Refund]:
        """The refunds of a payment."""
        rows = await self._db.fetch(
            f"SELECT {_COLUMNS} FROM refunds WHERE order_id = $1 AND attempt = $2 ORDER BY requested_at, id",
            payment.order_id,
            payment.attempt,
        )
        return [_refund(row) for row in rows]

    async def move(
        self,
        refund: Refund,
        to: RefundStatus,
        *,
        provider_id: str | None = None,
        failure: str | None = None,
    ) -> bool:
        """Compare-and-set of the status."""
        done = await self._db.execute(
            """UPDATE refunds SET status = $3, provider_id = coalesce($4, provider_id), failure = $5, updated_at = now()
               WHERE id = $1 AND status = $2""",
            refund.id,
            refund.status.value,
            to.value,
            provider_id,
            failure,
        )
        return bool(done == "UPDATE 1")

    async def due(self, seconds: float) -> Refund | None:
        """One that is waiting; it comes back after ``seconds`` at first, ever later then."""
        row = await self._db.fetchrow(
            f"""UPDATE refunds SET attempts = attempts + 1,
                       available_at = now() + least($2, $1 * power(2, least(attempts, 10))) * interval '1 second'
                WHERE id = (SELECT id FROM refunds WHERE status = 'requested' AND available_at <= now()
                            ORDER BY available_at LIMIT 1 FOR UPDATE SKIP LOCKED)
                RETURNING {_COLUMNS}""",
            seconds,
            _PAUSES[1],
        )
        return None if row is None else _refund(row)


async def refunds_made_about(pool: asyncpg.Pool, since: datetime, until: datetime) -> list[tuple[Refund, str]]:
    """The refunds that may have been made from ``since`` to before ``until``, each with the intent of its payment."""
    rows = await pool.fetch(
        """SELECT r.*, p.intent_id FROM refunds r JOIN payments p USING (order_id, attempt)
           WHERE r.requested_at >= $1::timestamptz - interval '1 day' AND r.requested_at < $2
             AND p.intent_id IS NOT NULL""",
        since,
        until,
    )
    names = _COLUMNS.split(", ")
    return [(_refund({name: row[name] for name in names}), row["intent_id"]) for row in rows]


def _refund(row: Any) -> Refund:
    return Refund(**{**row, "status": RefundStatus(row["status"])})
