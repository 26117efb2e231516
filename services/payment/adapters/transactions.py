"""A transaction of payment: everything that it may change, on one connection."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import asyncpg

from services.common import inbox
from services.common.inbox import Claim, Outcome
from services.common.outbox import EVENTS, Outbox
from services.contracts import Event
from services.payment.adapters.books import PostgresDisputes, PostgresLedger, PostgresPayouts
from services.payment.adapters.refunds import PostgresRefunds
from services.payment.adapters.store import PostgresStore
from services.payment.domain import Payment

CONSUMER = "payment"


class PostgresTransaction:
    """State, ledger, outbox and the command's decision; without a claim there is nothing to decide."""

    def __init__(self, connection: asyncpg.Connection, claim: Claim | None) -> None:
        self.store, self.refunds = PostgresStore(connection), PostgresRefunds(connection)
        self.ledger, self.disputes = PostgresLedger(connection), PostgresDisputes(connection)
        self.payouts = PostgresPayouts(connection)
        self._connection, self._claim = connection, claim

    async def first_time(self, message_id: str) -> bool:
        """Whether an event is new."""
        return await inbox.first_time(self._connection, CONSUMER, message_id)

    async def say(self, event: Event, payment: Payment, **more: str) -> None:
        """Announce an event about a payment."""
        ids = {"paymentId": payment.id, "orderId": str(payment.order_id), "buyerId": payment.buyer_id}
        await self.tell(event, {**ids, **more})

    async def tell(self, event: Event, ids: Mapping[str, str]) -> None:
        """Announce an event."""
        await Outbox(self._connection).add(EVENTS, event.value, ids)

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
