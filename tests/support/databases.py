"""Databases of the services' own shape for one test, on a server that other tests use too."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import asyncpg

from scripts.local.servers.postgres import Postgres
from services.common import database

OWNER, PASSWORD = "owner", "owner-password"


class Databases:
    """Databases made for one test: ``service`` and ``owner`` give URLs of the least-privilege and the owning role."""

    def __init__(self, server: Postgres, templates: Callable[[str], str]) -> None:
        self._server, self._templates = server, templates
        self.names: dict[str, str] = {}

    async def create(self, service: str) -> str:
        """A fresh database of ``service``; returns the URL of the service's role."""
        template, name = self._templates(service), f"{service}_{uuid.uuid4().hex[:12]}"
        admin = await asyncpg.connect(**database.arguments(self._server.admin_url))
        await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" OWNER "{OWNER}_{service}"')
        await admin.close()
        self.names[service] = name
        return self.service(service)

    def service(self, service: str) -> str:
        return self._server.url(f"{service}_service", self.names[service], PASSWORD)

    def owner(self, service: str) -> str:
        return self._server.url(f"{OWNER}_{service}", self.names[service], PASSWORD)

    async def drop(self) -> None:
        admin = await asyncpg.connect(**database.arguments(self._server.admin_url))
        for name in self.names.values():
            await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await admin.close()


async def run(url: str, statement: str, *values: Any) -> list[dict[str, Any]]:
    """One statement, as whoever ``url`` names; its rows."""
    connection = await asyncpg.connect(**database.arguments(url))
    try:
        return [dict(row) for row in await connection.fetch(statement, *values)]
    finally:
        await connection.close()
