"""`python -m services.notification.entrypoints.migrate`: the schema, then the service's role."""

from __future__ import annotations

import asyncio
from pathlib import Path

from services.common import logs, migrations, settings

FOLDER = Path(__file__).parents[1] / "migrations"
# They name people, what they bought, and when they sleep.
HIDDEN = ("deliveries.payload", "subscribers.time_zone", "subscribers.quiet_start", "subscribers.quiet_end")


def main() -> None:
    """Migrate and end."""
    loaded = settings.load_or_exit(settings.MigrationSettings)
    logs.configure("notification", loaded.log_level)
    asyncio.run(migrations.migrate(FOLDER, loaded, hidden=HIDDEN))


if __name__ == "__main__":
    main()
