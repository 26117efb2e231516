"""Payment's state in PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import asyncpg

from services.common.inbox import Claim, Outcome
from services.common.outbox import Outbox
from services.contracts import Event
from services.payment.domain import Payment, Status

_COLUMNS = """order_id, attempt, buyer_id, amount, currency, payment_method, status, intent_id, refund_id, reason,
              created_at"""


class PostgresStore:
    """The Store port on one connection, within the caller's transaction."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._db = connection

    async def start(self, payment: Payment) -> Payment:
        """Write a payment unless it exists."""
        await self._db.execute(
            """INSERT INTO payments (order_id, attempt, buyer_id, amount, currency, payment_method, status)
               VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING""",
            payment.order_id,
            payment.attempt,
            payment.buyer_id,
            payment.amount,
            payment.currency,
            payment.payment_method,
            payment.status.value,
        )
        return await self.payment(payment.order_id, payment.attempt) or payment

    async def payment(self, order_id: uuid.UUID, attempt: int) -> Payment | None:
        """A payment."""
        row = await self._db.fetchrow(
            f"SELECT {_COLUMNS} FROM payments WHERE order_id = $1 AND attempt = $2", order_id, attempt
        )
        return None if row is None else Payment(**{**row, "status": Status(row["status"])})

    async def attach(self, payment: Payment, intent_id: str) -> None:
        """Remember the intent of a payment; the first one stands."""
        await self._db.execute(
            "UPDATE payments SET intent_id = $3 WHERE order_id = $1 AND attempt = $2 AND intent_id IS NULL",
            payment.order_id,
            payment.attempt,
            intent_id,
        )

    async def move(
        self,
        payment: Payment,
        expected: Sequence[Status],
        to: Status,
        *,
        reason: str | None = None,
        refund_id: str | None = None,
    ) -> bool:
        """Compare-and-set of the status."""
        done = await self._db.execute(
            """UPDATE payments SET status = $4, reason = coalesce($5, reason), refund_id = coalesce($6, refund_id),
                      updated_at = now()
               WHERE order_id = $1 AND attempt = $2 AND status = ANY($3)""",
            payment.order_id,
            payment.attempt,
            [status.value for status in expected],
            to.value,
            reason,
            refund_id,
        )
        return bool(done == "UPDATE 1")


class PostgresTransaction:
    """State, outbox and the command's decision on one connection; without a claim there is nothing to decide."""

    def __init__(self, connection: asyncpg.Connection, claim: Claim | None) -> None:
        self.store = PostgresStore(connection)
        self._connection, self._claim = connection, claim

    async def say(self, event: Event, payment: Payment) -> None:
        """Announce an event."""
        ids = {"paymentId": payment.id, "orderId": str(payment.order_id), "buyerId": payment.buyer_id}
        await Outbox(self._connection).event(event, **ids)

    async def decide(self, outcome: Outcome) -> None:
        """Decide the command."""
        if self._claim is not None:
            await self._claim.decide(self._connection, outcome)


def transactions(
    pool: asyncpg.Pool, claim: Claim | None = None
) -> Callable[[], AbstractAsyncContextManager[PostgresTransaction]]:
    """Opens transactions on behalf of ``claim``."""

    @asynccontextmanager
    async def begin() -> AsyncIterator[PostgresTransaction]:
        async with pool.acquire() as connection, connection.transaction():
            yield PostgresTransaction(connection, claim)

    return begin
