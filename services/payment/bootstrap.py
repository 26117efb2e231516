"""Wires payment together: handlers to their transactions and to Stripe."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import asyncpg

from services.common.inbox import Claim, Outcome
from services.common.saga_worker import Handler
from services.contracts import Command, SagaMessage
from services.payment.adapters.store import transactions
from services.payment.handlers import Handlers, Transactions
from services.payment.ports import Processor

UseCase = Callable[[SagaMessage, Transactions], Awaitable[Outcome]]


def commands(pool: asyncpg.Pool, processor: Processor) -> Mapping[Command, Handler]:
    """The saga commands of payment."""
    handlers = Handlers(processor)
    use_cases: dict[Command, UseCase] = {
        Command.AUTHORISE: handlers.authorise,
        Command.CAPTURE: handlers.capture,
        Command.CANCEL_PAYMENT: handlers.cancel,
        Command.REFUND: handlers.refund,
    }
    return {command: _bound(pool, use_case) for command, use_case in use_cases.items()}


def _bound(pool: asyncpg.Pool, use_case: UseCase) -> Handler:
    async def handle(message: SagaMessage, claim: Claim) -> Outcome:
        return await use_case(message, transactions(pool, claim))

    return handle
