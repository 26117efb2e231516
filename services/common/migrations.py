"""Migrations: Alembic to the newest revision as the owner, then a least-privilege role for the service.

Safe to run twice and side by side: an advisory lock lets one run at a time.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TextIO

from alembic import command, op
from alembic.config import Config
from sqlalchemy import URL, Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from services.common import database, logs
from services.common.settings import MigrationSettings

log = logs.get(__name__)

# An arbitrary constant, the same for everybody who migrates.
_LOCK = 7_041_776
_LOCK_SECONDS = 0.2
# A statement that waits for a lock holds up everybody who comes after it, so it gives up soon, and the Job tries again.
# One that makes an index holds up nobody while it waits for the transactions that run.
_PATIENCE: Final = ("SET lock_timeout = '5s'", "SET statement_timeout = '10min'")
_PATIENCE_OF_INDEXES: Final = ("SET lock_timeout = '10min'", "SET statement_timeout = 0")
# What services say to each other and have answered is nobody's report, nor is who was erased.
_UNREPORTED = ("outbox", "inbox", "idempotency_keys", "erased_people", "erasures", "alembic_version")


class SameRole(ValueError):
    """The service would run as the owner of its tables."""


async def migrate(folder: Path, settings: MigrationSettings, *, hidden: Sequence[str] = ()) -> None:
    """Bring the database to the newest revision in ``folder``; create or update the role named in DATABASE_URL.

    That role may read and write rows and nothing else; the one of READER_DATABASE_URL, if there is one, reads what is
    no message and no column of ``hidden`` (``table.column``). Raises SameRole when both URLs name one role.
    """
    owner, service = settings.migration_database_url.get_secret_value(), settings.database_url.get_secret_value()
    known = database.arguments(service)
    if known["user"] == database.arguments(owner)["user"]:
        raise SameRole(
            f"DATABASE_URL and MIGRATION_DATABASE_URL both name the role {known['user']!r}: the service must not "
            "own its tables; name another role in DATABASE_URL, it will be created"
        )
    engine = _engine(owner)
    try:
        async with engine.connect() as connection:
            await _turn(connection)
            await connection.run_sync(_upgrade, folder)
            await connection.run_sync(_grant, known["user"], known["password"], known["database"])
            if settings.reader_database_url:
                reader = database.arguments(settings.reader_database_url.get_secret_value())
                await connection.run_sync(_grant_reading, reader["user"], reader["password"], known["database"], hidden)
            await connection.commit()
    finally:
        await engine.dispose()
    log.info("migrated", role=known["user"], database=known["database"])


async def _turn(connection: AsyncConnection) -> None:
    """Wait until nobody else migrates. Asked again and again: whoever waits in a statement would be waited for by
    an index that is made concurrently.
    """
    while not await connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK}):
        await connection.commit()
        await asyncio.sleep(_LOCK_SECONDS)
    await connection.commit()


def _engine(url: str) -> AsyncEngine:
    """SQLAlchemy is here for Alembic alone: without a pool, with the services' own rules for TLS."""
    known = database.arguments(url)
    address = URL.create(
        "postgresql+asyncpg",
        username=known["user"],
        password=known["password"],
        host=known["host"],
        port=known["port"],
        database=known["database"],
    )
    return create_async_engine(address, poolclass=NullPool, connect_args={"ssl": known["ssl"]})


def configuration(folder: Path, output: TextIO = sys.stdout) -> Config:
    """Alembic's configuration for the migrations in ``folder``; what is written down (`--sql`) goes to ``output``."""
    config = Config(output_buffer=output)
    config.set_main_option("script_location", str(folder))
    config.set_main_option("path_separator", "os")
    return config


def _upgrade(connection: Connection, folder: Path) -> None:
    config = configuration(folder)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _run(connection: Connection, template: str, *values: str) -> None:
    """DDL takes no parameters: PostgreSQL's own format() quotes the identifiers and the literal."""
    places = "".join(f", CAST(:v{i} AS text)" for i in range(len(values)))
    quoted = connection.scalar(
        text(f"SELECT format(CAST(:template AS text){places})"),
        {"template": template, **{f"v{i}": value for i, value in enumerate(values)}},
    )
    connection.exec_driver_sql(str(quoted))


def _login(connection: Connection, login: str, password: str, name: str) -> str:
    """A login that may connect and see what there is, and nothing of it; returns the role that grants are given to.

    Logins take turns: the second is a member of the first, which has the rights of both. An owner that may make no
    roles (a preview's: its instance has other tenants) finds them made.
    """
    role = login.removesuffix("_b")
    if connection.scalar(text("SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user")):
        for each in dict.fromkeys((role, login)):
            if not connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": each}):
                _run(connection, "CREATE ROLE %I", each)
                if each != role:
                    _run(connection, "GRANT %I TO %I", role, each)
        _run(connection, "ALTER ROLE %I LOGIN PASSWORD %L", login, password)
    _run(connection, "REVOKE ALL ON DATABASE %I FROM PUBLIC", name)
    _run(connection, "GRANT CONNECT ON DATABASE %I TO %I", name, role)
    _run(connection, "REVOKE ALL ON SCHEMA public FROM PUBLIC" if _owns_schema(connection) else "SELECT 1")
    _run(connection, "GRANT USAGE ON SCHEMA public TO %I", role)
    return role


def _grant(connection: Connection, login: str, password: str, name: str) -> None:
    role = _login(connection, login, password, name)
    _run(connection, "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO %I", role)
    _run(connection, "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO %I", role)
    _run(connection, "REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM %I", role)


def _grant_reading(connection: Connection, login: str, password: str, name: str, hidden: Sequence[str]) -> None:
    """Column by column, because a right to a table is a right to all of its columns."""
    role = _login(connection, login, password, name)
    _run(connection, "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM %I", role)
    columns = connection.execute(
        text("SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'")
    )
    for table, column in columns.all():
        if table not in _UNREPORTED and f"{table}.{column}" not in hidden:
            _run(connection, "GRANT SELECT (%I) ON %I TO %I", column, table, role)


def _owns_schema(connection: Connection) -> bool:
    return bool(
        connection.scalar(
            text("SELECT pg_has_role(current_user, nspowner, 'USAGE') FROM pg_namespace WHERE nspname = 'public'")
        )
    )


def create_indexes(indexes: Mapping[str, str]) -> None:
    """For a migration that does nothing else: name → what it is on, made while the service goes on reading and writing.

    Safe to repeat: what an earlier try left behind, valid or not, is made anew.
    """
    with op.get_context().autocommit_block():
        for statement in _PATIENCE_OF_INDEXES:
            op.execute(statement)
        for name, on in indexes.items():
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {on}")
        for statement in _PATIENCE:
            op.execute(statement)


def drop_indexes(indexes: Mapping[str, str]) -> None:
    """The way back of `create_indexes`."""
    with op.get_context().autocommit_block():
        for name in indexes:
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


def environment() -> None:
    """The body of each service's `migrations/env.py`: run the migrations on the connection that `migrate` opened, each
    in a transaction of its own, or (`--sql`) write them down.
    """
    from alembic import context

    if context.is_offline_mode():
        context.configure(dialect_name="postgresql", transactional_ddl=True, transaction_per_migration=True)
        for statement in _PATIENCE:
            context.execute(statement)
    else:
        connection: Connection = context.config.attributes["connection"]
        for statement in _PATIENCE:
            connection.exec_driver_sql(statement)
        connection.commit()
        context.configure(connection=connection, transactional_ddl=True, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
