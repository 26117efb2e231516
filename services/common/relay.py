"""The relay process of a service: its outbox to RabbitMQ, and wherever else the service publishes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI

from services.common import database, rabbitmq, runtime
from services.common.outbox import EVENTS, Publisher, Relay
from services.common.settings import BrokerSettings


def lifespan(
    settings: BrokerSettings, others: Mapping[str, Publisher]
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """A lifespan that relays until the application ends."""

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
            async with runtime.looping(Relay(pool, publishers).run):
                yield

    return run
