"""Wires notification together."""

from __future__ import annotations

from collections.abc import Mapping

import asyncpg

from services.common.inbox import Claim, Outcome
from services.common.saga_worker import Handler
from services.contracts import Command, SagaMessage
from services.notification import handlers
from services.notification.adapters.store import PostgresStore
from services.notification.ports import Notifier


def commands(pool: asyncpg.Pool, notifier: Notifier) -> Mapping[Command, Handler]:
    """The saga command of notification."""
    store = PostgresStore(pool)

    async def send(message: SagaMessage, claim: Claim) -> Outcome:
        return await handlers.send(store, notifier, message, claim)

    return {Command.SEND_NOTIFICATION: send}
