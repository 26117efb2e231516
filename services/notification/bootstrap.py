"""Wires notification together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial

import asyncpg

from services.common.inbox import Claim, Outcome
from services.common.loops import every
from services.common.retention import Retention
from services.common.runtime import Loop
from services.common.saga_worker import Handler
from services.contracts import Command, Event, EventMessage, SagaMessage
from services.notification import erasing, handlers
from services.notification.adapters.erasures import PostgresErasures
from services.notification.adapters.limits import PostgresLimits
from services.notification.adapters.queue import OBSERVED_SECONDS, PostgresQueue
from services.notification.adapters.store import PostgresStore
from services.notification.adapters.subscribers import PostgresSubscribers
from services.notification.adapters.templates import Templates
from services.notification.ports import Notifier
from services.notification.retention import RULES
from services.notification.sending import Sender
from services.notification.workflows.model import Channel


def commands(pool: asyncpg.Pool) -> Mapping[Command, Handler]:
    """The saga command of notification."""
    store = PostgresStore(pool)

    async def send(message: SagaMessage, claim: Claim) -> Outcome:
        return await handlers.send(store, message, claim)

    return {Command.SEND_NOTIFICATION: send}


async def on_event(pool: asyncpg.Pool, event: EventMessage) -> None:
    """An event: somebody is told of it, or forgotten."""
    if event.type is Event.BUYER_ERASED:
        await erasing.erase(PostgresErasures(pool), event)
    else:
        await handlers.on_event(PostgresStore(pool), event)


def loops(
    pool: asyncpg.Pool,
    notifier: Notifier,
    ages: Mapping[str, timedelta],
    *,
    site: str,
    per_second: Mapping[Channel, float],
) -> Sequence[Loop]:
    """What the worker does beside its command; ``ages`` replaces some of retention's own."""
    tell = partial(erasing.tell, PostgresErasures(pool), notifier)
    return [
        sender(pool, notifier, site=site, per_second=per_second).run,
        partial(every, "queue's age", PostgresQueue(pool).observe, OBSERVED_SECONDS),
        partial(every, "erasures", tell, erasing.EVERY_SECONDS, faults=(Exception,)),
        Retention(pool, RULES, ages).loop(),
    ]


def sender(pool: asyncpg.Pool, notifier: Notifier, *, site: str, per_second: Mapping[Channel, float]) -> Sender:
    """What empties the queue."""
    return Sender(
        PostgresQueue(pool), PostgresSubscribers(pool), PostgresLimits(pool, per_second), Templates(site), notifier
    )
