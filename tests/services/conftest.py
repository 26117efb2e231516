"""The services' other servers for the whole session, and a pool on a fresh database of each."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import asyncpg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import ECKey

from scripts.local import processes
from scripts.local.cloud.running import running
from scripts.local.issuer import Issuer
from scripts.local.servers import rabbitmq, redis
from scripts.local.servers.rabbitmq import RabbitMQ
from scripts.local.servers.redis import Redis
from services.booking.ticket_codes import Signer
from services.common import database
from tests.services.broker import Broker, set_up
from tests.support.databases import Databases

ROOT = Path(__file__).parents[2]
ISSUER = "http://127.0.0.1:9"


@pytest.fixture(scope="session")
def rabbitmq_server(folder: Path) -> Iterator[RabbitMQ]:
    with rabbitmq.running(folder) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server(folder: Path) -> Iterator[Redis]:
    with redis.running(folder) as server:
        yield server


@pytest.fixture(scope="session")
def broker(rabbitmq_server: RabbitMQ) -> Broker:
    """Applies a topology to the server; answers with the URLs of its users."""
    return set_up(rabbitmq_server)


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
def issuer() -> Issuer:
    """Whose tokens the APIs take."""
    return Issuer(ISSUER, ECKey.generate_key("P-256", auto_kid=True))


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
    """A simulated cloud of the session's own, which is moto put right; boto3 in this process talks to it."""
    with running(folder=folder / "cloud") as cloud, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", cloud.endpoint)
        patch.setenv("AWS_ACCESS_KEY_ID", "local")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "local")
        patch.setenv("AWS_REGION", "eu-west-3")
        yield cloud.endpoint


async def eventually(condition: Callable[[], Awaitable[bool]], *, timeout: float = 20.0) -> None:
    """Wait until ``condition`` holds; fails after ``timeout`` seconds."""
    deadline = asyncio.get_running_loop().time() + timeout
    while not await condition():
        assert asyncio.get_running_loop().time() < deadline, f"not within {timeout:.0f} s"
        await asyncio.sleep(0.05)
