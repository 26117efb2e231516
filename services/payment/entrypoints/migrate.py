"""`python -m services.payment.entrypoints.migrate`: the schema, then the service's role."""

from __future__ import annotations

import asyncio
from pathlib import Path

from services.common import logs, migrations, settings

FOLDER = Path(__file__).parents[1] / "migrations"
# Whoever has an intent's client secret may complete its payment.
HIDDEN = ("payments.client_secret",)


def main() -> None:
    """Migrate and end."""
    loaded = settings.load_or_exit(settings.MigrationSettings)
    logs.configure("payment", loaded.log_level)
    asyncio.run(migrations.migrate(FOLDER, loaded, hidden=HIDDEN))


if __name__ == "__main__":
    main()
