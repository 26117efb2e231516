"""`python -m services.payment.entrypoints.worker`: payment's saga commands, and the loops that need Stripe's key."""

from __future__ import annotations

from services.common import runtime, saga_worker
from services.common.settings import load_or_exit
from services.payment import bootstrap
from services.payment.adapters.parked import PostgresParkedSteps
from services.payment.adapters.stripe import StripeProcessor
from services.payment.settings import PaymentWorkerSettings


def main() -> None:
    """Work until SIGTERM, then finish what is in hand."""
    settings = load_or_exit(PaymentWorkerSettings)
    processor = StripeProcessor(settings.stripe_api_key.get_secret_value(), settings.stripe_api_base)
    lifespan = saga_worker.lifespan(
        "payment",
        settings,
        lambda pool: bootstrap.commands(pool, processor, fee_basis_points=settings.platform_fee_basis_points),
        beside=lambda pool: bootstrap.loops(pool, processor, settings.retention_ages),
        parked=PostgresParkedSteps,
    )
    runtime.serve("payment", settings, runtime.application("payment worker", lifespan))


if __name__ == "__main__":
    main()
