"""A migration is safe to repeat, and leaves the service with no more rights than it needs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

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


_MIGRATION = """
from alembic import op

revision, down_revision = {revision!r}, {before!r}
{more}

def upgrade():
    op.execute({statement!r})
"""
EXPAND = {
    "0001": "CREATE TABLE things (name text)",
    "0002": "ALTER TABLE things ADD COLUMN title text",
}
CONTRACT = "ALTER TABLE things DROP COLUMN name"


def release(folder: Path, steps: Mapping[str, str]) -> Path:
    """The migrations of a release; one that drops something is a contract of 0002."""
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text("from services.common.migrations import environment\n\nenvironment()\n")
    before = None
    for revision, statement in steps.items():
        more = 'contracts = "0002"' if "DROP" in statement else ""
        text = _MIGRATION.format(revision=revision, before=before, statement=statement, more=more)
        (folder / "versions" / f"{revision}.py").write_text(text)
        before = revision
    return folder


@pytest.fixture
async def empty(booking: asyncpg.Pool, databases: Databases) -> MigrationSettings:
    """A database without a table."""
    owner = databases.owner("booking")
    connection = await asyncpg.connect(**database.arguments(owner))
    await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    await connection.close()
    return MigrationSettings(
        database_url=SecretStr(databases.service("booking")), migration_database_url=SecretStr(owner)
    )


async def test_a_release_that_is_rolled_back_runs_on_the_schema_of_the_one_after_it_until_a_contract(
    empty: MigrationSettings, tmp_path: Path
) -> None:
    first = release(tmp_path / "first", {"0001": EXPAND["0001"]})
    second = release(tmp_path / "second", EXPAND)
    third = release(tmp_path / "third", {**EXPAND, "0003": CONTRACT})

    for each in (first, second, first):
        await migrations.migrate(each, empty)
    assert await _revision(empty) == "0002"

    for each in (third, second):
        await migrations.migrate(each, empty)
    assert await _revision(empty) == "0003"
    with pytest.raises(migrations.TooOld, match=r"before 0002.* knows up to 0001"):
        await migrations.migrate(first, empty)


async def _revision(settings: MigrationSettings) -> str:
    connection = await asyncpg.connect(**database.arguments(settings.migration_database_url.get_secret_value()))
    try:
        return str(await connection.fetchval("SELECT version_num FROM alembic_version"))
    finally:
        await connection.close()
