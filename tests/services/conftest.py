"""Real servers for the whole session, a database of its own for each test."""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import asyncpg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr

from scripts.local import processes
from scripts.local.certificates import Authority
from scripts.local.servers import postgres, rabbitmq
from scripts.local.servers.postgres import Postgres
from scripts.local.servers.rabbitmq import RabbitMQ
from services.booking.ticket_codes import Signer
from services.common import database, migrations
from services.common.settings import MigrationSettings
from tests.services.broker import Broker, set_up

ROOT = Path(__file__).parents[2]
OWNER, PASSWORD = "owner", "owner-password"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the session's servers live; its authority is trusted by everything in this process."""
    made = tmp_path_factory.mktemp("servers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(Authority(made).create().bundle))
        yield made


@pytest.fixture(scope="session")
def postgres_server(folder: Path) -> Iterator[Postgres]:
    with postgres.running(folder) as server:
        yield server


@pytest.fixture(scope="session")
def rabbitmq_server(folder: Path) -> Iterator[RabbitMQ]:
    with rabbitmq.running(folder) as server:
        yield server


@pytest.fixture(scope="session")
def broker(rabbitmq_server: RabbitMQ) -> Broker:
    """Applies a topology to the server; answers with the URLs of its users."""
    return set_up(rabbitmq_server)


@pytest.fixture(scope="session")
def templates(postgres_server: Postgres) -> Callable[[str], str]:
    """The name of a service's migrated template database, made at first use."""
    made: dict[str, str] = {}

    def template(service: str) -> str:
        if service not in made:
            name = f"template_{service}"
            owner = postgres_server.create(name, f"{OWNER}_{service}", PASSWORD)
            settings = MigrationSettings(
                database_url=SecretStr(postgres_server.url(f"{service}_service", name, PASSWORD)),
                migration_database_url=SecretStr(owner),
            )
            asyncio.run(migrations.migrate(ROOT / "services" / service / "migrations", settings))
            made[service] = name
        return made[service]

    return template


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


@pytest.fixture
async def databases(postgres_server: Postgres, templates: Callable[[str], str]) -> AsyncIterator[Databases]:
    for service in ("booking", "payment", "notification"):
        await asyncio.to_thread(templates, service)
    made = Databases(postgres_server, templates)
    yield made
    await made.drop()


@pytest.fixture
async def booking(databases: Databases) -> AsyncIterator[asyncpg.Pool]:
    """A pool on a fresh booking database, as the service's role."""
    async with database.pool(await databases.create("booking"), size=20) as pool:
        yield pool


@pytest.fixture
async def payment(databases: Databases) -> AsyncIterator[asyncpg.Pool]:
    async with database.pool(await databases.create("payment"), size=10) as pool:
        yield pool


@pytest.fixture
async def notification(databases: Databases) -> AsyncIterator[asyncpg.Pool]:
    async with database.pool(await databases.create("notification"), size=10) as pool:
        yield pool


@pytest.fixture(scope="session")
def signer() -> Signer:
    return Signer(Ed25519PrivateKey.generate())


@contextmanager
def _module(name: str, log: Path, *options: str) -> Iterator[str]:
    """A stand-in of scripts/local as a process of its own; yields its URL."""
    port = processes.free_port()
    server = processes.Server(
        name=name.rpartition(".")[2],
        command=[sys.executable, "-m", name, "--port", str(port), *options],
        log=log / f"{name}.log",
        cwd=ROOT,
        grace=5,
    )
    with processes.serving(server, lambda: processes.listening("127.0.0.1", port)):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def stripe_server(folder: Path) -> Iterator[str]:
    with _module("scripts.local.stripe", folder) as url:
        yield url


@pytest.fixture(scope="session")
def novu_server(folder: Path) -> Iterator[str]:
    with _module("scripts.local.novu", folder) as url:
        yield url


def call(url: str, body: object = None, **headers: str) -> object:
    """GET, or POST of ``body`` as JSON; returns the JSON of the answer."""
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url, data=data, headers={"Content-Type": "application/json", **headers}), timeout=10) as got:
        return json.loads(got.read())


@pytest.fixture
def stripe_faults(stripe_server: str) -> Iterator[Callable[..., object]]:
    """Sets faults of the local Stripe; there are none after the test."""
    yield lambda **faults: call(f"{stripe_server}/_local/faults", faults)
    call(f"{stripe_server}/_local/faults", {"mode": "", "count": 0, "duplicate_webhooks": 1, "reorder_webhooks": False})


@pytest.fixture(scope="session")
def aws_server(folder: Path) -> Iterator[str]:
    """A moto server that executes state machines; boto3 in this process talks to it."""
    port = processes.free_port()
    server = processes.Server(
        name="moto",
        command=[sys.executable, "-m", "moto.server", "-p", str(port)],
        log=folder / "moto.log",
        grace=5,
    )
    with (
        processes.serving(server, lambda: processes.listening("127.0.0.1", port)),
        pytest.MonkeyPatch.context() as patch,
    ):
        url = f"http://127.0.0.1:{port}"
        call(f"{url}/moto-api/config", {"stepfunctions": {"execute_state_machine": True}})
        patch.setenv("AWS_ENDPOINT_URL", url)
        patch.setenv("AWS_ACCESS_KEY_ID", "local")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "local")
        patch.setenv("AWS_REGION", "eu-west-3")
        yield url


async def eventually(condition: Callable[[], Awaitable[bool]], *, timeout: float = 20.0) -> None:
    """Wait until ``condition`` holds; fails after ``timeout`` seconds."""
    deadline = asyncio.get_running_loop().time() + timeout
    while not await condition():
        assert asyncio.get_running_loop().time() < deadline, f"not within {timeout:.0f} s"
        await asyncio.sleep(0.05)
