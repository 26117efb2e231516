"""`python -m services.notification.entrypoints.worker`: the saga's last step, the sender of what is queued, and
the removal of what is old or of people who were erased.
"""

from __future__ import annotations

from services.common import runtime, saga_worker
from services.common.settings import load_or_exit
from services.notification import bootstrap
from services.notification.adapters.novu import NovuNotifier
from services.notification.settings import NotificationWorkerSettings


def main() -> None:
    """Work until SIGTERM, then finish what is in hand."""
    settings = load_or_exit(NotificationWorkerSettings)
    notifier = NovuNotifier(settings.novu_api_key.get_secret_value(), settings.novu_api_base)
    lifespan = saga_worker.lifespan(
        "notification",
        settings,
        bootstrap.commands,
        beside=lambda pool: bootstrap.loops(
            pool,
            notifier,
            settings.retention_ages,
            site=settings.site_url,
            per_second=settings.notification_per_second,
        ),
    )
    runtime.serve("notification", settings, runtime.application("notification worker", lifespan))


if __name__ == "__main__":
    main()
