"""Wires payment together: handlers to their transactions and to Stripe, and the worker's loops."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial

import asyncpg

from services.common.inbox import Claim, Outcome
from services.common.loops import every
from services.common.retention import Retention
from services.common.runtime import Loop
from services.common.saga_worker import Handler
from services.contracts import Command, Event, EventMessage, SagaMessage
from services.payment import erasing, following, refunding
from services.payment.adapters import parked, reconciling, webhooks
from services.payment.adapters.transactions import transactions
from services.payment.handlers import Handlers
from services.payment.ports import Processor, Transactions
from services.payment.retention import RULES

UseCase = Callable[[SagaMessage, Transactions], Awaitable[Outcome]]
# Seconds: what people wait for is looked at each second, and after a fault it rests.
SOON, REST, RARELY = 1.0, 10.0, 60.0


def commands(pool: asyncpg.Pool, processor: Processor, *, fee_basis_points: int = 0) -> Mapping[Command, Handler]:
    """The saga commands of payment."""
    handlers = Handlers(processor, fee_basis_points)
    use_cases: dict[Command, UseCase] = {
        Command.AUTHORISE: handlers.authorise,
        Command.CAPTURE: handlers.capture,
        Command.CANCEL_PAYMENT: handlers.cancel,
        Command.REFUND: handlers.refund,
    }
    return {command: _bound(pool, use_case) for command, use_case in use_cases.items()}


def loops(pool: asyncpg.Pool, processor: Processor, ages: Mapping[str, timedelta]) -> Sequence[Loop]:
    """What the worker does beside its commands; when Stripe or the database is away, the rows stay where they are.

    ``ages`` replaces some of retention's own.
    """
    work: Sequence[tuple[str, Callable[[asyncpg.Pool, Processor], Awaitable[None]], float]] = (
        ("webhooks", follow_webhooks, SOON),
        ("refunds", carry_out_refunds, SOON),
        ("late authentications", end_late_authentications, SOON),
        ("reconciliation", _reconcile, RARELY),
        ("undelivered webhooks", webhooks.count_undelivered, RARELY),
    )
    return [
        *(
            partial(every, name, partial(do, pool, processor), seconds, faults=(Exception,), rest=REST)
            for name, do, seconds in work
        ),
        Retention(pool, RULES, ages).loop(),
    ]


async def on_event(transactions: Transactions, event: EventMessage) -> None:
    """What booking says: a wish for a refund, or that a buyer was erased."""
    take = erasing.erase if event.type is Event.BUYER_ERASED else refunding.request
    await take(transactions, event)


async def follow_webhooks(pool: asyncpg.Pool, processor: Processor) -> None:
    """Follow the objects of the webhooks that wait."""
    begin = transactions(pool)

    async def follow(subject: str, kinds: Sequence[str]) -> None:
        if subject.startswith(("tr_", "po_")):
            await following.follow_payout(processor, begin, subject)
        else:
            await following.follow_intent(processor, begin, subject, kinds)

    await webhooks.follow_up(pool, follow)


async def carry_out_refunds(pool: asyncpg.Pool, processor: Processor) -> None:
    """Carry out the refunds that wait."""
    while await refunding.carry_out_next(processor, transactions(pool)):
        continue


async def end_late_authentications(pool: asyncpg.Pool, processor: Processor) -> None:
    """Decide the payments whose buyers have let the time pass."""
    for intent_id in await parked.overdue(pool):
        await following.follow_intent(processor, transactions(pool), intent_id)


async def _reconcile(pool: asyncpg.Pool, processor: Processor) -> None:
    while await reconciling.reconcile_next(pool, processor):
        continue
    await reconciling.count_open(pool)


def _bound(pool: asyncpg.Pool, use_case: UseCase) -> Handler:
    async def handle(message: SagaMessage, claim: Claim) -> Outcome:
        return await use_case(message, transactions(pool, claim))

    return handle
