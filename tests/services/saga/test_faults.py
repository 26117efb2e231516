"""Servers crash and processes are killed while buyers buy: nobody pays twice, nothing is oversold, nothing is lost."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest

from scripts.local import processes
from scripts.local.certificates import Authority
from scripts.local.processes import eventually
from scripts.local.servers import postgres, rabbitmq, redis
from services.booking.adapters.audit import inconsistent
from services.common import database
from tests.services.broker import set_up
from tests.services.saga.platform import SERVICES, Platform, Restartable, launched

BUYERS = 6
HOST = "127.0.0.1"


@pytest.fixture(scope="module")
def servers(folder: Path) -> Iterator[dict[str, Restartable]]:
    """Servers of these tests alone: those of the other tests do not crash."""
    made: dict[str, Restartable] = {}
    yield made
    for server in reversed(made.values()):
        server.stop()


@pytest.fixture(scope="module")
def platform(folder: Path, servers: dict[str, Restartable], aws_server: str) -> Iterator[Platform]:
    place, authority = folder / "faults", Authority(folder)
    db = postgres.create(place / "postgres", HOST, authority, port=processes.free_port(HOST))
    broker = rabbitmq.create(place / "rabbitmq", HOST, authority, port=processes.free_port(HOST))
    cache = redis.create(place / "redis", HOST, authority, port=processes.free_port(HOST))
    servers["port mapper"] = Restartable.started(broker.port_mapper, broker.mapped)
    servers["rabbitmq"] = Restartable.started(broker.server, broker.ready)
    servers["postgres"] = Restartable.started(db.server, db.ready)
    servers["redis"] = Restartable.started(cache.server, cache.ready)
    with launched(place, db, set_up(broker), cache.url()) as made:
        yield made


def rush(platform: Platform, during: list[Restartable | tuple[str, str]]) -> None:
    """Buyers buy at the same time while ``during`` goes away and comes back; then everything must add up."""
    ticket_type = platform.on_sale(capacity=BUYERS)
    subjects = [f"buyer-{uuid.uuid4()}" for _ in range(BUYERS)]
    with ThreadPoolExecutor(BUYERS) as pool:
        buying = [pool.submit(platform.buy_whatever_happens, subject, ticket_type) for subject in subjects]
        assert eventually(lambda: _placed(platform) > 0, timeout=60)
        for each in during:
            if isinstance(each, Restartable):
                each.crash()
            else:
                platform.kill(*each)
        for each in during:
            if isinstance(each, Restartable):
                each.restart()
            else:
                platform.start(*each)
        for each in during:
            if not isinstance(each, Restartable):
                platform.await_ready(*each)
        orders = [bought.result() for bought in buying]
    for subject, order in zip(subjects, orders, strict=True):
        with platform.client("booking", subject) as buyer:
            assert platform.ended(buyer, order, within=120)["status"] == "completed"
    asyncio.run(audit(platform, orders))


def _placed(platform: Platform) -> int:
    async def count() -> int:
        async with database.pool(platform.env["booking"]["DATABASE_URL"], size=1) as pool:
            found: int = await pool.fetchval("SELECT count(*) FROM orders WHERE status <> 'completed'")
            return found

    return asyncio.run(count())


async def audit(platform: Platform, orders: list[str]) -> None:
    """The invariants of the platform, over its databases and Stripe's books."""
    for order in orders:
        [intent] = platform.intents(order)
        assert (intent["status"], intent["amount_received"]) == ("succeeded", 2_500)
    async with (
        database.pool(platform.env["booking"]["DATABASE_URL"], size=2) as booking,
        database.pool(platform.env["payment"]["DATABASE_URL"], size=2) as payment,
    ):
        assert await inconsistent(booking) == []
        for order in orders:
            value = await booking.fetchval(
                "SELECT sum(value) FROM tickets WHERE order_id = $1 AND status = 'valid'", uuid.UUID(order)
            )
            taken = await payment.fetchval(
                "SELECT sum(amount) FROM payments WHERE order_id = $1 AND status = 'captured'", uuid.UUID(order)
            )
            assert value == taken == 2_500
        for pool in (booking, payment):
            await _said_everything(pool)


async def _said_everything(pool: asyncpg.Pool) -> None:
    deadline = asyncio.get_running_loop().time() + 60
    while await pool.fetchval("SELECT count(*) FROM outbox WHERE published_at IS NULL"):
        assert asyncio.get_running_loop().time() < deadline, "the outbox still has something to say"
        await asyncio.sleep(0.2)


@pytest.mark.parametrize("name", ["postgres", "rabbitmq", "redis"])
def test_a_server_crashes_under_load(platform: Platform, servers: dict[str, Restartable], name: str) -> None:
    rush(platform, [servers[name]])


@pytest.mark.parametrize("process", ["api", "worker", "relay"])
def test_a_process_of_each_service_is_killed_under_load(platform: Platform, process: str) -> None:
    # Notification's consumer stands where the others have a relay.
    of_service = {"notification": "consumer"} if process == "relay" else {}
    rush(platform, [(service, of_service.get(service, process)) for service in SERVICES])
