"""`python -m services.booking.entrypoints.relay`: the outbox to RabbitMQ, the starts of sagas to Step Functions, and
what payment says of refunds from RabbitMQ.
"""

from __future__ import annotations

from functools import partial

from services.booking import bootstrap
from services.booking.settings import RelaySettings
from services.common import aws, relay, runtime
from services.common.executions import ExecutionStarter
from services.common.outbox import SAGA
from services.common.settings import load_or_exit


def main() -> None:
    """Relay until SIGTERM."""
    settings = load_or_exit(RelaySettings)
    starter = ExecutionStarter(
        aws.step_functions(settings.aws_region),
        settings.saga_state_machine_arn,
        aws.Threads(8),
        per_second=settings.saga_starts_per_second,
    )
    lifespan = relay.lifespan(
        settings,
        {SAGA: starter},
        consumers=lambda pool: {bootstrap.QUEUE: partial(bootstrap.on_event, pool)},
    )
    app = runtime.application("booking relay", lifespan)
    runtime.serve("booking", settings, app)


if __name__ == "__main__":
    main()
