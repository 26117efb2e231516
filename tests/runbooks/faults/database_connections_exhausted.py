"""Sessions of a service that began a transaction and went away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pg8000.native
import pytest

from runbooks.database_connections_exhausted import DatabaseConnectionsExhausted
from services.common.database import arguments
from tests.runbooks.bench import Bench
from tests.runbooks.environment import Environment
from tests.runbooks.faults import Fault
from tests.support.databases import PASSWORD, Databases


@dataclass
class Sessions:
    """Connections to a database, as pods and people make them."""

    environment: Environment
    databases: Databases
    url: str
    open: ExitStack = field(default_factory=ExitStack)

    def connect(self, url: str = "", application: str = "a-pod") -> tuple[pg8000.native.Connection, int]:
        """A connection, of the service unless ``url`` says otherwise; and its process id."""
        known = arguments(url or self.url)
        made = pg8000.native.Connection(
            known["user"],
            password=known["password"],
            host=known["host"],
            port=known["port"],
            database=known["database"],
            ssl_context=known["ssl"],
            application_name=application,
        )
        self.open.callback(lambda: _close(made))
        return made, made.run("SELECT pg_backend_pid()")[0][0]

    def hang(self, url: str = "") -> int:
        """A session that sits idle in a transaction; its process id."""
        connection, pid = self.connect(url)
        connection.run("START TRANSACTION")
        return int(pid)

    def rotate(self) -> str:
        """Give the service its other login, as a rotation does; returns its URL. The one before still works."""
        first = arguments(self.url)["user"]
        second = f"{first}_b"
        owner, _ = self.connect(self.databases.owner("booking"))
        if not owner.run("SELECT 1 FROM pg_roles WHERE rolname = :second", second=second):
            owner.run(f"CREATE ROLE {second} LOGIN PASSWORD '{PASSWORD}'")
            owner.run(f"GRANT {first} TO {second}")
        _close(owner)
        url = self.url.replace(first, second, 1)
        self.environment.next_login("booking", arguments(url))
        return url

    def rotate_back(self) -> None:
        """Make the login before the current one again."""
        self.environment.next_login("booking", arguments(self.url))

    def there(self) -> list[int]:
        """Process ids of everybody but this question."""
        connection, own = self.connect()
        found = connection.run(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> :own ORDER BY 1", own=own
        )
        _close(connection)
        return [row[0] for row in found]


def _close(connection: Any) -> None:
    with suppress(pg8000.exceptions.InterfaceError, OSError):
        connection.close()


@pytest.fixture
def sessions(environment: Environment, databases: Databases) -> Iterator[Sessions]:
    url = asyncio.run(databases.create("booking"))
    environment.database("booking", arguments(url))
    made = Sessions(environment, databases, url)
    with made.open:
        yield made


@pytest.fixture
def database_connections_exhausted(environment: Environment, sessions: Sessions, tmp_path: Path) -> Fault:
    hanging = {sessions.hang(), sessions.hang()}
    runbook = DatabaseConnectionsExhausted(service="booking", older_than=0)
    return Fault(
        Bench(runbook, environment, tmp_path),
        state=sessions.there,
        mended=lambda: not hanging & set(sessions.there()),
        secrets=(PASSWORD,),
    )
