"""`python -m services.notification.entrypoints.consumer`: events of orders, tickets and erased people, from
RabbitMQ.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from services.common import database, rabbitmq, runtime
from services.common.settings import load_or_exit
from services.notification import bootstrap, domain
from services.notification.settings import ConsumerSettings


def create_app(settings: ConsumerSettings | None = None) -> FastAPI:
    """Health endpoints, with the consumer beside them."""
    known = settings or load_or_exit(ConsumerSettings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            database.pool(known.database_url.get_secret_value(), size=known.database_pool_size) as pool,
            rabbitmq.connection(known.amqp_url.get_secret_value()) as broker,
            broker.channel() as channel,
        ):
            app.include_router(runtime.health({"database": lambda: pool.fetchval("SELECT 1"), "broker": broker.ready}))
            handler = partial(bootstrap.on_event, pool)
            consume = partial(rabbitmq.consume, channel, domain.QUEUE, handler)
            async with runtime.looping(consume):
                yield

    return runtime.application("notification consumer", lifespan)


def main() -> None:
    """Consume until SIGTERM, then finish what is in hand."""
    settings = load_or_exit(ConsumerSettings)
    runtime.serve("notification", settings, create_app(settings))


if __name__ == "__main__":
    main()
