"""Booking on a database of its own, as a pod runs it: what the benchmarks of the hot path measure."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg
import httpx
import uvloop
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr

from scripts.deployment import ROOT
from scripts.local import processes
from scripts.local.certificates import Authority, trusting
from scripts.local.servers import postgres
from services.booking.adapters.catalogue import Catalogue
from services.common import database, logs, migrations
from services.common.settings import MigrationSettings

# Requests at a time, and as in the stack files' production: connections of one API process.
AT_A_TIME, POOL = 64, 20
_OWNER, _DATABASE = "booking_owner", "booking"


class Refused(RuntimeError):
    """Not what was asked for was answered: the rate would be that of refusals."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load came to: answers by status, the time it took in seconds, and the slowest of a hundred in ms."""

    statuses: dict[str, int]
    seconds: float
    p99: float


@dataclass(frozen=True, slots=True)
class Booking:
    """A migrated database and an API on it."""

    owner_url: str
    url: str
    ca: Path
    api: str
    issuer: str

    def tokens(self, count: int) -> list[str]:
        """Tokens of so many buyers."""
        with httpx.Client(base_url=self.issuer) as client:
            answers = [
                client.post("/token", json={"sub": f"buyer-{number}", "roles": ["attendee"]}) for number in range(count)
            ]
        return [str(answer.raise_for_status().json()["access_token"]) for answer in answers]

    def on_sale(self, capacity: int) -> uuid.UUID:
        """A ticket type of a new event, with a pool of its own."""
        return uvloop.run(_on_sale(self.url, capacity))

    def execute(self, *statements: str) -> None:
        """Run ``statements`` as the owner of the tables."""
        uvloop.run(_execute(self.owner_url, statements))

    def load(self, ticket_type: uuid.UUID, tokens: list[str], *options: str) -> Loaded:
        """Ask for holds from a process of its own. Raises Refused when that fails."""
        command = [sys.executable, "-m", "scripts.bench.load", f"{self.api}/holds", str(ticket_type), *options]
        done = subprocess.run(
            [*command, f"--at-a-time={AT_A_TIME}"],
            input="\n".join(tokens),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Refused(f"the load generator failed:\n{done.stderr[-2000:]}")
        found: dict[str, Any] = json.loads(done.stdout)
        return Loaded(**found)


@contextmanager
def served(say: Callable[[str], None]) -> Iterator[Booking]:
    """Booking for the length of a ``with`` block; what it commits is on disk."""
    with TemporaryDirectory(prefix="bench-booking-") as name:
        folder = Path(name)
        authority = Authority(folder).create()
        with trusting(authority.bundle), postgres.running(folder, durable=True) as server:
            say("migrating a database")
            logs.configure("bench", "warning")
            owner = server.create(_DATABASE, _OWNER, "owner")
            url = server.url("booking_service", _DATABASE, "service")
            settings = MigrationSettings(database_url=SecretStr(url), migration_database_url=SecretStr(owner))
            asyncio.run(migrations.migrate(ROOT / "services" / "booking" / "migrations", settings))
            with _issuer(folder) as issuer, _api(folder, url, issuer) as api:
                yield Booking(owner, url, authority.ca, api, issuer)


@contextmanager
def _issuer(folder: Path) -> Iterator[str]:
    port = processes.free_port()
    command = [sys.executable, "-m", "scripts.local.issuer", "--port", str(port)]
    server = processes.Server(name="issuer", command=command, log=folder / "issuer.log", cwd=ROOT)
    with processes.serving(server, lambda: processes.listening("127.0.0.1", port)):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _api(folder: Path, url: str, issuer: str) -> Iterator[str]:
    port = processes.free_port()
    server = processes.Server(
        name="booking-api",
        command=[sys.executable, "-m", "services.booking.entrypoints.api"],
        log=folder / "api.log",
        cwd=ROOT,
        env={
            "POD_IP": "127.0.0.1",
            "HTTP_PORT": str(port),
            "LOG_LEVEL": "warning",
            "DATABASE_URL": url,
            "DATABASE_POOL_SIZE": str(POOL),
            "OIDC_ISSUER": issuer,
            "AWS_REGION": "eu-west-3",
            "SAGA_STATE_MACHINE_ARN": "arn:aws:states:eu-west-3:123456789012:stateMachine:saga",
            "TICKET_SIGNING_KEY": _signing_key(),
        },
    )
    with processes.serving(server, lambda: processes.listening("127.0.0.1", port)):
        yield f"http://127.0.0.1:{port}"


def _signing_key() -> str:
    private = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private.decode()


async def _execute(url: str, statements: tuple[str, ...]) -> None:
    connection = await asyncpg.connect(**database.arguments(url))
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def _on_sale(url: str, capacity: int) -> uuid.UUID:
    async with database.pool(url, size=1) as pool, pool.acquire() as connection, connection.transaction():
        catalogue = Catalogue(connection)
        event = await catalogue.add_event("organiser", "Concert", datetime.now(UTC) + timedelta(days=30))
        places = await catalogue.add_pool(event, "Standing", capacity)
        return await catalogue.add_ticket_type(event, places, "Standing", "eur", [(None, 2_500)])
