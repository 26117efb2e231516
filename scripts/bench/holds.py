"""Holds per second of one ticket type, the hot path of an on-sale: booking's API, its allocator, and PostgreSQL itself.

All three work on one server with the same number of requests at a time, over TLS, as the service's least-privilege
role. The floor is pgbench running one statement that takes one hold: what a service with a transaction for each hold
could reach at best, without HTTP, tokens and Python, and without the rules that the allocator keeps beside. The API is
one process, as in one pod.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import httpx
import uvloop
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr

from scripts.bench import pgbench
from scripts.bench.report import Comparison, Sample, Series, interleaved
from scripts.deployment import ROOT
from scripts.local import processes
from scripts.local.certificates import Authority, trusting
from scripts.local.servers import postgres
from services.booking.adapters.allocator import Allocator
from services.booking.adapters.catalogue import Catalogue
from services.booking.domain.holds import HoldRequest
from services.common import database, logs, migrations
from services.common.settings import MigrationSettings

NAME = "holds"
AT_A_TIME = 64
# So many that nobody reaches the limit of one buyer while it is measured.
_BUYERS = 3_000
# As in the stack files' production: connections of one API process.
_POOL = 20
# Holds on each of pgbench's connections for a second that the others measure: it takes about as long.
_EACH_SECOND = 8
# The largest capacity that the column holds: nothing sells out while it is measured.
_CAPACITY = 2**31 - 1
_OWNER, _DATABASE = "booking_owner", "booking"


class Refused(RuntimeError):
    """Not every hold was taken: the rate would be that of refusals."""


@dataclass(frozen=True, slots=True)
class _Bench:
    """A migrated database, an API on it, and a ticket type to take from."""

    owner_url: str
    url: str
    ca: Path
    api: str
    tokens: list[str]
    ticket_type: uuid.UUID
    seconds: int

    def fresh(self) -> None:
        """Forget all holds, so that each measurement starts with empty tables."""
        uvloop.run(_execute(self.owner_url, "TRUNCATE holds CASCADE", "UPDATE pools SET held = 0"))

    def of_pgbench(self) -> float:
        """Transactions per second of pgbench."""
        self.fresh()
        found = pgbench.run(self.url, self.ca, self.ticket_type, clients=AT_A_TIME, each=_EACH_SECOND * self.seconds)
        if found.failed:
            raise Refused(f"{found.failed} of pgbench's transactions failed")
        return found.rate

    def of_api(self) -> float:
        """Holds per second over HTTP."""
        self.fresh()
        options = [
            f"{self.api}/holds",
            str(self.ticket_type),
            "--seconds",
            str(self.seconds),
            "--at-a-time",
            str(AT_A_TIME),
        ]
        done = subprocess.run(
            [sys.executable, "-m", "scripts.bench.load", *options],
            input="\n".join(self.tokens),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Refused(f"the load generator failed:\n{done.stderr[-2000:]}")
        found = json.loads(done.stdout)
        if set(found["statuses"]) != {"201"}:
            raise Refused(f"the API answered {found['statuses']} (status: times); all must be 201")
        return float(found["statuses"]["201"] / found["seconds"])

    def of_allocator(self) -> float:
        """Holds per second of the allocator, called directly."""
        self.fresh()
        return uvloop.run(_allocate(self.url, self.ticket_type, self.seconds))


def measure(say: Callable[[str], None], *, quick: bool) -> list[Comparison]:
    """Take holds in the three ways, in turn. Raises Refused, NotReady, MissingProgram, Unreadable."""
    with _running(1 if quick else 5, say) as bench:
        names = ("pgbench", "booking's API", "booking's allocator")
        arms: dict[str, Sample] = dict(zip(names, (bench.of_pgbench, bench.of_api, bench.of_allocator), strict=True))
        # The first requests prepare statements, fetch the issuer's keys and fill PostgreSQL's caches.
        bench.of_api()
        taken = interleaved(arms, 1 if quick else 5, say)
    about = {
        "pgbench": "one hold a statement, prepared, over TLS",
        "booking's API": "POST /holds with a bearer token and an idempotency key, one process",
        "booking's allocator": f"batches, straight to the database, pool of {_POOL}",
    }
    floor, *measured = (Series(name, f"{about[name]}; {AT_A_TIME} at a time", taken[name]) for name in names)
    return [Comparison(series, floor, "holds/s", "higher") for series in measured]


@contextmanager
def _running(seconds: int, say: Callable[[str], None]) -> Iterator[_Bench]:
    with TemporaryDirectory(prefix="bench-holds-") as name:
        folder = Path(name)
        authority = Authority(folder).create()
        with trusting(authority.bundle), postgres.running(folder, durable=True) as server:
            say("migrating a database")
            logs.configure("bench", "warning")
            owner = server.create(_DATABASE, _OWNER, "owner")
            url = server.url("booking_service", _DATABASE, "service")
            settings = MigrationSettings(database_url=SecretStr(url), migration_database_url=SecretStr(owner))
            asyncio.run(migrations.migrate(ROOT / "services" / "booking" / "migrations", settings))
            ticket_type = asyncio.run(_on_sale(url))
            with _issuer(folder) as issuer, _api(folder, url, issuer) as api:
                tokens = _tokens(issuer)
                yield _Bench(owner, url, authority.ca, api, tokens, ticket_type, seconds)


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
            "DATABASE_POOL_SIZE": str(_POOL),
            "OIDC_ISSUER": issuer,
            "AWS_REGION": "eu-west-3",
            "SAGA_STATE_MACHINE_ARN": "arn:aws:states:eu-west-3:123456789012:stateMachine:saga",
            "TICKET_SIGNING_KEY": _signing_key(),
        },
    )
    base = f"http://127.0.0.1:{port}"
    with processes.serving(server, lambda: processes.listening("127.0.0.1", port)):
        yield base


def _signing_key() -> str:
    private = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private.decode()


def _tokens(issuer: str) -> list[str]:
    with httpx.Client(base_url=issuer) as client:
        answers = [
            client.post("/token", json={"sub": f"buyer-{number}", "roles": ["attendee"]}) for number in range(_BUYERS)
        ]
    return [str(answer.raise_for_status().json()["access_token"]) for answer in answers]


async def _execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(**database.arguments(url))
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def _on_sale(url: str) -> uuid.UUID:
    async with database.pool(url, size=1) as pool, pool.acquire() as connection, connection.transaction():
        catalogue = Catalogue(connection)
        event = await catalogue.add_event("organiser", "Concert", datetime.now(UTC) + timedelta(days=30))
        places = await catalogue.add_pool(event, "Standing", _CAPACITY)
        return await catalogue.add_ticket_type(event, places, "Standing", "eur", [(None, 2_500)])


async def _allocate(url: str, ticket_type: uuid.UUID, seconds: float) -> float:
    async with database.pool(url, size=_POOL) as pool:
        allocator, taken = Allocator(pool), 0
        began = time.perf_counter()

        async def buyers() -> None:
            nonlocal taken
            while time.perf_counter() < began + seconds:
                new = uuid.uuid4()
                await allocator.take(HoldRequest(new, ticket_type, f"buyer-{new}", 1))
                taken += 1

        await asyncio.gather(*(buyers() for _ in range(AT_A_TIME)))
        return taken / (time.perf_counter() - began)
