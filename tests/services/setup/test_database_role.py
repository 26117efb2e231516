"""The role of somebody else's software: it makes tables, whoever of its two logins is signed in, and nothing else."""

from __future__ import annotations

import uuid
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from scripts.local.servers.postgres import Postgres
from services.common import database
from services.setup import database_role
from services.setup.database_role import RoleSettings


@pytest.fixture
def owned(postgres_server: Postgres) -> tuple[str, str, str]:
    """A database of the test's own: its name, its owner's URL, and the name of the role."""
    name = f"identity_{uuid.uuid4().hex[:8]}"
    return name, postgres_server.create(name, f"{name}_owner", "owner-password"), f"{name}_service"


async def make(owned: tuple[str, str, str], url: str, extensions: str = "") -> str:
    settings = RoleSettings(
        owner_database_url=SecretStr(owned[1]), database_url=SecretStr(url), database_extensions=extensions
    )
    return await database_role.apply(settings)


async def connect(url: str, role: str) -> Any:
    """As the JDBC URLs of the applications do: signed in as a login, acting as the role."""
    return await asyncpg.connect(**database.arguments(url), server_settings={"role": role})


async def test_what_either_login_makes_belongs_to_the_role(
    owned: tuple[str, str, str], postgres_server: Postgres
) -> None:
    name, _, role = owned
    first, second = (postgres_server.url(login, name, "a-password") for login in (role, f"{role}_b"))
    assert {await make(owned, url) for url in (first, second, first, second)} == {role}
    for url, table in ((first, "one"), (second, "two")):
        connection = await connect(url, role)
        await connection.execute(f"CREATE TABLE {table} (id integer)")
        await connection.execute("ALTER TABLE one ADD COLUMN IF NOT EXISTS more text")
        owner = await connection.fetchval("SELECT tableowner FROM pg_tables WHERE tablename = $1", table)
        assert owner == role
        await connection.close()


async def test_extensions_are_there_that_the_role_could_not_make(
    owned: tuple[str, str, str], postgres_server: Postgres
) -> None:
    name, _, role = owned
    url = postgres_server.url(role, name, "a-password")
    await make(owned, url, "citext")
    connection = await connect(url, role)
    assert await connection.fetchval("SELECT 'A'::citext = 'a'::citext")
    for refused in ("CREATE EXTENSION hstore", "CREATE ROLE another", "CREATE SCHEMA another"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(refused)
    await connection.close()


async def test_a_new_password_is_taken(owned: tuple[str, str, str], postgres_server: Postgres) -> None:
    name, _, role = owned
    for password in ("first", "it's the second"):
        url = postgres_server.url(role, name, password)
        await make(owned, url)
        connection = await connect(url, role)
        await connection.close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await connect(postgres_server.url(role, name, "first"), role)
