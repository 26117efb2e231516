"""A migration is safe to repeat, and leaves the service with no more rights than it needs."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from pydantic import SecretStr

from services.common import database, migrations
from services.common.settings import MigrationSettings
from tests.services.conftest import ROOT
from tests.support.databases import Databases


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE outbox",
        "TRUNCATE outbox",
        "ALTER TABLE pools DROP CONSTRAINT never_oversold",
        "CREATE TABLE mine (id integer)",
        "UPDATE alembic_version SET version_num = '0'",
        "CREATE ROLE another",
    ],
)
async def test_the_service_may_change_rows_and_nothing_else(booking: asyncpg.Pool, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await booking.execute(statement)


async def test_migrating_again_and_side_by_side_changes_the_password_alone(
    booking: asyncpg.Pool, databases: Databases
) -> None:
    role_url = databases.service("booking").replace("booking_service", "booking_second")
    for password in ("first-password", "second'password"):
        new = role_url.replace("owner-password", password.replace("'", "%27"))
        settings = MigrationSettings(
            database_url=SecretStr(new), migration_database_url=SecretStr(databases.owner("booking"))
        )
        folder = ROOT / "services" / "booking" / "migrations"
        await asyncio.gather(*(migrations.migrate(folder, settings) for _ in range(3)))
        connection = await asyncpg.connect(**database.arguments(new))
        assert await connection.fetchval("SELECT count(*) FROM events") == 0
        await connection.close()


async def test_the_owner_is_refused_as_the_services_role(booking: asyncpg.Pool, databases: Databases) -> None:
    owner = SecretStr(databases.owner("booking"))
    settings = MigrationSettings(database_url=owner, migration_database_url=owner)
    with pytest.raises(migrations.SameRole, match="must not own its tables"):
        await migrations.migrate(ROOT / "services" / "booking" / "migrations", settings)
