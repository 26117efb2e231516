"""Authorisations that wait for their buyers: the inbox has the step and its task token, the payment has the rest."""

from __future__ import annotations

import asyncpg

from services.contracts import Command, SagaInput, SagaMessage

# A step is parked or was: its payment has had a deadline of late. One that was answered after its decision is over.
_STEPS = """FROM payments p JOIN inbox i ON i.order_id = p.order_id::text
            WHERE i.consumer = 'payment' AND i.command = 'payment.authorise'
              AND p.action_deadline > now() - interval '1 day'"""


class PostgresParkedSteps:
    """The ParkedSteps of payment."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def waiting(self) -> list[str]:
        """The task tokens of those whose buyer has not answered."""
        rows = await self._pool.fetch(f"SELECT i.task_token {_STEPS} AND p.status = 'action_required'")
        return [row["task_token"] for row in rows]

    async def ready(self) -> list[SagaMessage]:
        """Those whose buyer has answered, or has let the time pass, and that the state machine has not heard of."""
        rows = await self._pool.fetch(
            f"""SELECT i.message_id, i.task_token, p.order_id, p.attempt, p.buyer_id, p.amount, p.currency,
                       p.payment_method {_STEPS} AND p.status <> 'action_required'
                  AND (i.decided_at IS NULL OR i.answered_at IS NULL OR i.answered_at < i.decided_at)
                  AND (i.lease_token IS NULL OR i.lease_until < now())
                ORDER BY p.action_deadline LIMIT 50"""
        )
        return [
            SagaMessage(
                command=Command.AUTHORISE,
                task_token=row["task_token"],
                execution_arn=row["message_id"].removesuffix(f"/{Command.AUTHORISE.value}"),
                order_id=str(row["order_id"]),
                attempt=row["attempt"],
                input=SagaInput(
                    order_id=str(row["order_id"]),
                    buyer_id=row["buyer_id"],
                    amount=row["amount"],
                    currency=row["currency"],
                    payment_method=row["payment_method"],
                ),
            )
            for row in rows
        ]


async def overdue(pool: asyncpg.Pool) -> list[str]:
    """The intents whose buyers have let the time pass."""
    rows = await pool.fetch(
        """SELECT intent_id FROM payments
           WHERE status = 'action_required' AND action_deadline <= now() AND intent_id IS NOT NULL"""
    )
    return [row["intent_id"] for row in rows]
