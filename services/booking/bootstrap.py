"""Wires booking together: handlers to their transactions, settings to their adapters."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial

import asyncpg

from services.booking.adapters import audit, cancellations, sales, sweeper, waiting_list
from services.booking.adapters.store import PostgresStore
from services.booking.adapters.tickets import PostgresRefunds
from services.booking.handlers import orders, refunds
from services.booking.ports import Store, Voice
from services.booking.retention import RULES
from services.booking.ticket_codes import Signer
from services.common import inbox
from services.common.inbox import Claim, Outcome
from services.common.loops import every
from services.common.outbox import Outbox
from services.common.retention import Retention
from services.common.runtime import Loop
from services.common.saga_worker import Handler
from services.contracts import Command, Event, EventMessage, SagaMessage

# The queue of what payment says about refunds, and the name under which its messages are in the inbox.
QUEUE = "booking.refunds"
UseCase = Callable[[Store, Voice, uuid.UUID], Awaitable[Outcome]]


def commands(pool: asyncpg.Pool, signer: Signer) -> Mapping[Command, Handler]:
    """The saga commands of booking: use case, inbox row and outbox rows in one transaction each."""

    async def issue(store: Store, voice: Voice, order_id: uuid.UUID) -> Outcome:
        return await orders.issue_tickets(store, voice, signer, order_id)

    use_cases: dict[Command, UseCase] = {
        Command.CONFIRM_SEATS: orders.confirm_seats,
        Command.ISSUE_TICKETS: issue,
        Command.RELEASE: orders.release,
        Command.CANCEL_ORDER: orders.cancel_order,
        Command.NEEDS_OPERATOR: orders.needs_operator,
    }
    return {command: _in_transaction(pool, use_case) for command, use_case in use_cases.items()}


def loops(pool: asyncpg.Pool, ages: Mapping[str, timedelta]) -> Sequence[Loop]:
    """What the worker does beside its commands, as time brings it; ``ages`` replaces some of retention's own."""
    return [
        partial(every, "sweeper", partial(sweeper.sweep, pool), sweeper.EVERY_SECONDS),
        partial(every, "offers", partial(waiting_list.offer, pool), waiting_list.EVERY_SECONDS),
        partial(every, "cancelled events", partial(cancellations.refund_cancelled, pool), cancellations.EVERY_SECONDS),
        partial(every, "audit", partial(audit.observe, pool), audit.EVERY_SECONDS),
        partial(every, "sales", partial(sales.observe, pool), sales.EVERY_SECONDS),
        Retention(pool, RULES, ages).loop(),
    ]


def _in_transaction(pool: asyncpg.Pool, use_case: UseCase) -> Handler:
    async def handle(message: SagaMessage, claim: Claim) -> Outcome:
        async with pool.acquire() as connection, connection.transaction():
            outcome = await use_case(PostgresStore(connection), Outbox(connection), uuid.UUID(message.order_id))
            await claim.decide(connection, outcome)
            return outcome

    return handle


async def on_event(pool: asyncpg.Pool, event: EventMessage) -> None:
    """What payment says of a refund. Idempotency: the inbox (event id). A refund of a saga is none of these."""
    refund_id = event.ids.get("refundId")
    async with pool.acquire() as connection, connection.transaction():
        if refund_id is None or not await inbox.first_time(connection, QUEUE, event.id):
            return
        store = PostgresRefunds(connection)
        if event.type is Event.PAYMENT_REFUNDED:
            await refunds.refund_succeeded(store, Outbox(connection), uuid.UUID(refund_id))
        elif event.type is Event.PAYMENT_REFUND_FAILED:
            await refunds.refund_failed(store, uuid.UUID(refund_id))
