"""Databases of the services' own shape for one test, on a server that other tests use too."""

from __future__ import annotations

import asyncio
import ssl
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import pg8000.native
from pydantic import SecretStr

from scripts.deployment import ROOT
from scripts.local.servers.postgres import ADMIN, Postgres
from services.common import database, migrations
from services.common.settings import MigrationSettings

OWNER, PASSWORD = "owner", "owner-password"


class Originals:
    """A migrated database of each service, made at first use, and copies of it.

    One session makes and drops them all: in a new one each time, a copy costs PostgreSQL five times as much.
    """

    def __init__(self, server: Postgres, administrator: pg8000.native.Connection) -> None:
        self.server, self._administrator = server, administrator
        self._made: dict[str, str] = {}

    @classmethod
    @contextmanager
    def of(cls, server: Postgres) -> Iterator[Originals]:
        """Those of ``server``, for the length of a block."""
        trust = ssl.create_default_context(cafile=server.ca)
        with pg8000.native.Connection(
            ADMIN, server.host, "postgres", server.port, server.password, ssl_context=trust
        ) as administrator:
            yield cls(server, administrator)

    def copy(self, service: str) -> str:
        """A fresh database of ``service``; returns its name."""
        original, name = self._original(service), f"{service}_{uuid.uuid4().hex[:12]}"
        # By files, for a server that does not wait for its disk: less than half of the time of going through its log.
        how = f'TEMPLATE "{original}" STRATEGY FILE_COPY OWNER "{OWNER}_{service}"'
        self._administrator.run(f'CREATE DATABASE "{name}" {how}')
        return name

    def drop(self, name: str) -> None:
        self._administrator.run(f'DROP DATABASE "{name}" WITH (FORCE)')

    def _original(self, service: str) -> str:
        if service not in self._made:
            name = f"template_{service}"
            owner = self.server.create(name, f"{OWNER}_{service}", PASSWORD)
            settings = MigrationSettings(
                database_url=SecretStr(self.server.url(f"{service}_service", name, PASSWORD)),
                migration_database_url=SecretStr(owner),
            )
            asyncio.run(migrations.migrate(ROOT / "services" / service / "migrations", settings))
            self._made[service] = name
        return self._made[service]


class Databases:
    """Databases made for one test: ``service`` and ``owner`` give URLs of the least-privilege and the owning role."""

    def __init__(self, originals: Originals) -> None:
        self._originals = originals
        self.names: dict[str, str] = {}

    async def create(self, service: str) -> str:
        """A fresh database of ``service``; returns the URL of the service's role."""
        # In a thread, where a first one may run a loop of its own.
        self.names[service] = await asyncio.to_thread(self._originals.copy, service)
        return self.service(service)

    def service(self, service: str) -> str:
        return self._originals.server.url(f"{service}_service", self.names[service], PASSWORD)

    def owner(self, service: str) -> str:
        return self._originals.server.url(f"{OWNER}_{service}", self.names[service], PASSWORD)

    async def drop(self) -> None:
        for name in self.names.values():
            await asyncio.to_thread(self._originals.drop, name)


async def run(url: str, statement: str, *values: Any) -> list[dict[str, Any]]:
    """One statement, as whoever ``url`` names; its rows."""
    connection = await asyncpg.connect(**database.arguments(url))
    try:
        return [dict(row) for row in await connection.fetch(statement, *values)]
    finally:
        await connection.close()
