"""Migrations: Alembic to the newest revision as the owner, then a least-privilege role for the service.

Safe to run twice and side by side: an advisory lock lets one run at a time.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from services.common import database, logs
from services.common.settings import MigrationSettings

log = logs.get(__name__)

# An arbitrary constant, the same for everybody who migrates.
_LOCK = 7_041_776


class SameRole(ValueError):
    """The service would run as the owner of its tables."""


async def migrate(folder: Path, settings: MigrationSettings) -> None:
    """Bring the database to the newest revision in ``folder``; create or update the role named in DATABASE_URL.

    That role may read and write rows and nothing else. Raises SameRole when both URLs name one role.
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
            await connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
            await connection.commit()
            await connection.run_sync(_upgrade, folder)
            await connection.run_sync(_grant, known["user"], known["password"], known["database"])
            await connection.commit()
    finally:
        await engine.dispose()
    log.info("migrated", role=known["user"], database=known["database"])


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


def configuration(folder: Path) -> Config:
    """Alembic's configuration for the migrations in ``folder``."""
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("path_separator", "os")
    return config


def _upgrade(connection: Connection, folder: Path) -> None:
    config = configuration(folder)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _grant(connection: Connection, role: str, password: str, name: str) -> None:
    # DDL takes no parameters: PostgreSQL's own format() quotes the identifiers and the literal.
    def run(template: str, *values: str) -> None:
        places = "".join(f", CAST(:v{i} AS text)" for i in range(len(values)))
        quoted = connection.scalar(
            text(f"SELECT format(CAST(:template AS text){places})"),
            {"template": template, **{f"v{i}": value for i, value in enumerate(values)}},
        )
        connection.exec_driver_sql(str(quoted))

    exists = connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role})
    run("ALTER ROLE %I LOGIN PASSWORD %L" if exists else "CREATE ROLE %I LOGIN PASSWORD %L", role, password)
    run("REVOKE ALL ON DATABASE %I FROM PUBLIC", name)
    run("GRANT CONNECT ON DATABASE %I TO %I", name, role)
    run("REVOKE ALL ON SCHEMA public FROM PUBLIC" if _owns_schema(connection) else "SELECT 1")
    run("GRANT USAGE ON SCHEMA public TO %I", role)
    run("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO %I", role)
    run("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO %I", role)
    run("REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM %I", role)


def _owns_schema(connection: Connection) -> bool:
    return bool(
        connection.scalar(
            text("SELECT pg_has_role(current_user, nspowner, 'USAGE') FROM pg_namespace WHERE nspname = 'public'")
        )
    )


def environment() -> None:
    """The body of each service's `migrations/env.py`: run the migrations on the connection that `migrate` opened."""
    from alembic import context

    context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()
