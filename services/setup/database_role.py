"""`python -m services.setup.database_role`: the role under which somebody else's software keeps its own tables.

Unlike a service's, this role makes tables, in a database that is its own; it owns neither the database nor the roles.
Logins take turns when they rotate: the second is a member of the first, and both act as the first, so that a table
belongs to the same role whoever was signed in when it was made.
"""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
from pydantic import SecretStr

from services.common import database, logs
from services.common.settings import load_or_exit
from services.setup.documents import SetupSettings

log = logs.get(__name__)
# An arbitrary constant, the same for everybody who makes roles here.
_LOCK = 7_041_777


class RoleSettings(SetupSettings):
    """The owner's URL, the URL of the login in use, and what extensions the software takes for granted."""

    owner_database_url: SecretStr
    database_url: SecretStr
    database_extensions: str = ""
    """Names, separated by commas. Making one needs more rights than the software gets."""


async def apply(settings: RoleSettings) -> str:
    """Make role and login, or bring the login's password up to date; returns the role. Safe to repeat."""
    owner = database.arguments(settings.owner_database_url.get_secret_value())
    login = database.arguments(settings.database_url.get_secret_value())
    role = str(login["user"]).removesuffix("_b")
    connection = await asyncpg.connect(**owner)
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            for extension in filter(None, settings.database_extensions.split(",")):
                await _run(connection, "CREATE EXTENSION IF NOT EXISTS %I", extension.strip())
            if not await _exists(connection, role):
                await _run(connection, "CREATE ROLE %I", role)
            if not await _exists(connection, login["user"]):
                await _run(connection, "CREATE ROLE %I", login["user"])
                await _run(connection, "GRANT %I TO %I", role, login["user"])
            await _run(connection, "ALTER ROLE %I LOGIN PASSWORD %L", login["user"], login["password"])
            await _run(connection, "REVOKE ALL ON DATABASE %I FROM PUBLIC", login["database"])
            await _run(connection, "GRANT CONNECT, TEMPORARY ON DATABASE %I TO %I", login["database"], role)
            await _run(connection, "REVOKE ALL ON SCHEMA public FROM PUBLIC")
            await _run(connection, "GRANT USAGE, CREATE ON SCHEMA public TO %I", role)
    finally:
        await connection.close()
    return role


async def _exists(connection: Any, role: str) -> bool:
    return bool(await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role))


async def _run(connection: Any, template: str, *values: str) -> None:
    """DDL takes no parameters: PostgreSQL's own format() quotes names and literals."""
    statement = await connection.fetchval("SELECT format($1, VARIADIC $2::text[])", template, list(values))
    await connection.execute(statement)


def main() -> None:
    """Make the role and end."""
    settings = load_or_exit(RoleSettings)
    logs.configure("database-role", "info")
    log.info("the role is there", role=asyncio.run(apply(settings)))


if __name__ == "__main__":
    main()
