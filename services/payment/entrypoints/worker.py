"""`python -m services.payment.entrypoints.worker`: payment's saga commands, and the follow-up of webhooks."""

from __future__ import annotations

from functools import partial

from services.common import runtime, saga_worker
from services.common.settings import load_or_exit
from services.payment import bootstrap, handlers
from services.payment.adapters.store import transactions
from services.payment.adapters.stripe import StripeProcessor
from services.payment.adapters.webhooks import following
from services.payment.settings import PaymentWorkerSettings


def main() -> None:
    """Work until SIGTERM, then finish what is in hand."""
    settings = load_or_exit(PaymentWorkerSettings)
    processor = StripeProcessor(settings.stripe_api_key.get_secret_value(), settings.stripe_api_base)
    lifespan = saga_worker.lifespan(
        "payment",
        settings,
        lambda pool: bootstrap.commands(pool, processor),
        beside=lambda pool: [
            partial(following, pool, partial(handlers.reconcile, processor, transactions(pool))),
        ],
    )
    runtime.serve("payment", settings, runtime.application("payment worker", lifespan))


if __name__ == "__main__":
    main()
