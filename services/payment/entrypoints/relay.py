"""`python -m services.payment.entrypoints.relay`: the outbox to RabbitMQ."""

from __future__ import annotations

from services.common import relay, runtime
from services.common.settings import BrokerSettings, load_or_exit


def main() -> None:
    """Relay until SIGTERM."""
    settings = load_or_exit(BrokerSettings)
    runtime.serve("payment", settings, runtime.application("payment relay", relay.lifespan(settings, {})))


if __name__ == "__main__":
    main()
