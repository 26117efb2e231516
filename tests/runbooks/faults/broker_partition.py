"""Outboxes of booking and payment from which no relay takes anything, beside a real broker that is well."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from components.broker_topology import Subscription
from runbooks._kit.kubernetes import Cluster
from runbooks.broker_partition import SERVICES, BrokerPartition
from scripts.local.servers.rabbitmq import RabbitMQ
from services.common import relay
from services.common.database import arguments, pool
from services.common.outbox import EVENTS, SAGA, Outbox
from services.common.settings import BrokerSettings
from services.contracts import Event
from tests.runbooks.bench import Bench
from tests.runbooks.clusters import Workloads, once
from tests.runbooks.environment import Environment
from tests.runbooks.faults import Fault
from tests.services.broker import PASSWORD as OF_USERS
from tests.services.broker import Broker
from tests.services.conftest import eventually
from tests.support.databases import PASSWORD, Databases, run

_COUNT = "SELECT count(*)::int AS waiting FROM outbox WHERE published_at IS NULL"


@dataclass(frozen=True)
class Outboxes:
    """What services want said, their relays' Deployments, and the broker; URLs are by service."""

    environment: Environment
    workloads: Workloads
    server: RabbitMQ
    databases: dict[str, str]
    users: dict[str, str]

    def wait(self, service: str, *, destination: str = EVENTS, seconds: int = 300, taken: bool = False) -> None:
        """A row that has waited for so long; one that was ``taken`` was tried, and is due again only later."""
        asyncio.run(self._wait(service, destination, seconds, taken))

    async def _wait(self, service: str, destination: str, seconds: int, taken: bool) -> None:
        topic = Event.EVENT_CHANGED.value if destination == EVENTS else str(uuid.uuid4())
        async with pool(self.databases[service], size=1) as database, database.acquire() as connection:
            row = await Outbox(connection).add(destination, topic, {"eventId": str(uuid.uuid4())})
            await connection.execute(
                """UPDATE outbox SET created_at = now() - $2 * interval '1 second', attempts = $3,
                          available_at = now() + ($3 * 60 - 1) * interval '1 second' WHERE id = $1""",
                row,
                seconds,
                int(taken),
            )

    def publish(self, service: str) -> None:
        """What the pods of a relay do: its real code, until nothing waits. Sagas are taken and never started."""
        asyncio.run(self._publish(service))

    async def _publish(self, service: str) -> None:
        settings = BrokerSettings(
            database_url=SecretStr(self.databases[service]), amqp_url=SecretStr(self.users[service])
        )

        async def done() -> bool:
            [row] = await run(self.databases[service], _COUNT)
            return bool(row["waiting"] == 0)

        async with relay.lifespan(settings, {SAGA: _Sagas()})(FastAPI()):
            await eventually(done)

    def waiting(self) -> dict[str, int]:
        """How many rows of each service are not published."""
        return {service: asyncio.run(run(url, _COUNT))[0]["waiting"] for service, url in self.databases.items()}

    def restarts(self) -> dict[str, datetime]:
        return self._cluster.restarts()

    def restart(self, service: str, at: datetime | None = None) -> None:
        """What somebody does by hand."""
        self._cluster.restart(f"{service}-relay", at or datetime.now(UTC))

    def restarted(self, service: str) -> bool:
        return f"{service}-relay" in self.restarts()

    @property
    def _cluster(self) -> Cluster:
        return Cluster(self.workloads.api, self.workloads.namespace)


class _Sagas:
    """Where sagas are started, for a relay that has none to start."""

    async def publish(self, message: Any) -> None:
        """Confirms."""


@pytest.fixture
def outboxes(
    environment: Environment, workloads: Workloads, databases: Databases, broker: Broker, rabbitmq_server: RabbitMQ
) -> Outboxes:
    queue = f"outboxes-{uuid.uuid4().hex[:8]}"
    url = broker(SERVICES, [Subscription(service="notification", queue=queue, topics=(Event.EVENT_CHANGED.value,))])
    environment.broker(rabbitmq_server.management_url, url("admin"))
    urls = {}
    for service in SERVICES:
        urls[service] = asyncio.run(databases.create(service))
        environment.database(service, arguments(urls[service]))
        workloads.deployment(f"{service}-relay", 2)
    return Outboxes(environment, workloads, rabbitmq_server, urls, {each: url(each) for each in SERVICES})


@pytest.fixture
def broker_partition(environment: Environment, outboxes: Outboxes, tmp_path: Path) -> Iterator[Fault]:
    for service in SERVICES:
        outboxes.wait(service)
        outboxes.wait(service)

    def mended() -> bool:
        return all(map(outboxes.restarted, SERVICES)) and not any(outboxes.waiting().values())

    # No kubelet starts pods here: in their stead the relay's code runs once its Deployment was restarted.
    booking, payment = (
        once(partial(outboxes.restarted, service), partial(outboxes.publish, service)) for service in SERVICES
    )
    with booking, payment:
        yield Fault(
            Bench(BrokerPartition(patience=30), environment, tmp_path),
            state=lambda: (outboxes.waiting(), outboxes.restarts()),
            mended=mended,
            secrets=(outboxes.server.password, PASSWORD, OF_USERS),
        )
