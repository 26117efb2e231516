"""Wires booking together: handlers to their transactions, settings to their adapters."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping

import asyncpg

from services.booking import handlers
from services.booking.adapters.store import PostgresStore
from services.booking.ports import Store, Voice
from services.booking.ticket_codes import Signer
from services.common.inbox import Claim, Outcome
from services.common.outbox import Outbox
from services.common.saga_worker import Handler
from services.contracts import Command, SagaMessage

UseCase = Callable[[Store, Voice, uuid.UUID], Awaitable[Outcome]]


def commands(pool: asyncpg.Pool, signer: Signer) -> Mapping[Command, Handler]:
    """The saga commands of booking: use case, inbox row and outbox rows in one transaction each."""

    async def issue(store: Store, voice: Voice, order_id: uuid.UUID) -> Outcome:
        return await handlers.issue_tickets(store, voice, signer, order_id)

    use_cases: dict[Command, UseCase] = {
        Command.CONFIRM_SEATS: handlers.confirm_seats,
        Command.ISSUE_TICKETS: issue,
        Command.RELEASE: handlers.release,
        Command.CANCEL_ORDER: handlers.cancel_order,
        Command.NEEDS_OPERATOR: handlers.needs_operator,
    }
    return {command: _in_transaction(pool, use_case) for command, use_case in use_cases.items()}


def _in_transaction(pool: asyncpg.Pool, use_case: UseCase) -> Handler:
    async def handle(message: SagaMessage, claim: Claim) -> Outcome:
        async with pool.acquire() as connection, connection.transaction():
            outcome = await use_case(PostgresStore(connection), Outbox(connection), uuid.UUID(message.order_id))
            await claim.decide(connection, outcome)
            return outcome

    return handle
