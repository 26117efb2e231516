"""The relay process of a service: its outbox to RabbitMQ and wherever else it publishes, and the queues it consumes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import asyncpg
from aio_pika.abc import AbstractRobustConnection
from fastapi import FastAPI

from services.common import database, rabbitmq, runtime
from services.common.outbox import EVENTS, Publisher, Relay
from services.common.settings import BrokerSettings
from services.contracts import EventMessage

Consumer = Callable[[EventMessage], Awaitable[None]]


def lifespan(
    settings: BrokerSettings,
    others: Mapping[str, Publisher],
    *,
    consumers: Callable[[asyncpg.Pool], Mapping[str, Consumer]] = lambda _: {},
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """A lifespan that relays until the application ends; ``consumers`` maps queues to what takes their events."""

    @asynccontextmanager
    async def run(app: FastAPI) -> AsyncIterator[None]:
        url = settings.database_url.get_secret_value()
        async with (
            database.pool(url, size=settings.database_pool_size) as pool,
            rabbitmq.connection(settings.amqp_url.get_secret_value()) as broker,
            broker.channel() as channel,
        ):
            publishers = {EVENTS: rabbitmq.EventPublisher(channel), **others}
            app.include_router(runtime.health({"database": lambda: pool.fetchval("SELECT 1"), "broker": broker.ready}))
            consuming = [partial(_consume, broker, queue, consumer) for queue, consumer in consumers(pool).items()]
            async with runtime.looping(Relay(pool, publishers).run, *consuming):
                yield

    return run


async def _consume(broker: AbstractRobustConnection, queue: str, consumer: Consumer, stop: asyncio.Event) -> None:
    # A channel of its own: what a slow consumer holds back must not hold back the publisher's confirms.
    async with broker.channel() as channel:
        await rabbitmq.consume(channel, queue, consumer, stop)
