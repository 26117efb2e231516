"""`python -m services.payment.entrypoints.relay`: the outbox to RabbitMQ, and what booking says from it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import asyncpg

from services.common import relay, runtime
from services.common.settings import BrokerSettings, load_or_exit
from services.payment import bootstrap, refunding
from services.payment.adapters.transactions import transactions


def main() -> None:
    """Relay until SIGTERM."""
    settings = load_or_exit(BrokerSettings)

    def consumers(pool: asyncpg.Pool) -> Mapping[str, relay.Consumer]:
        return {refunding.QUEUE: partial(bootstrap.on_event, transactions(pool))}

    lifespan = relay.lifespan(settings, {}, consumers=consumers)
    runtime.serve("payment", settings, runtime.application("payment relay", lifespan))


if __name__ == "__main__":
    main()
