"""`python -m services.booking.entrypoints.worker`: booking's saga commands, and what time brings: expired holds,
offers to those who wait, refunds of cancelled events, what has been kept long enough.
"""

from __future__ import annotations

from services.booking import bootstrap
from services.booking.settings import BookingWorkerSettings
from services.booking.ticket_codes import Signer
from services.common import runtime, saga_worker
from services.common.settings import load_or_exit


def main() -> None:
    """Work until SIGTERM, then finish what is in hand."""
    settings = load_or_exit(BookingWorkerSettings)
    signer = Signer.from_pem(settings.ticket_signing_key.get_secret_value())
    lifespan = saga_worker.lifespan(
        "booking",
        settings,
        lambda pool: bootstrap.commands(pool, signer),
        beside=lambda pool: bootstrap.loops(pool, settings.retention_ages),
    )
    runtime.serve("booking", settings, runtime.application("booking worker", lifespan))


if __name__ == "__main__":
    main()
