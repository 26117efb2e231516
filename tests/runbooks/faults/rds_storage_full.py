"""A database that fills up, and a replication slot that nobody reads."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pg8000.native
import pytest

from runbooks.rds_storage_full import RdsStorageFull
from scripts.local.servers.postgres import ADMIN, Postgres
from services.common.database import arguments
from tests.runbooks.bench import Bench
from tests.runbooks.environment import Environment
from tests.runbooks.faults import Fault
from tests.runbooks.instances import Instances
from tests.support.databases import PASSWORD, Databases


@dataclass
class Storage:
    """An instance of booking of 100 GiB on a real server, of which ``free`` GiB were free of late."""

    instances: Instances
    instance: str
    admin: pg8000.native.Connection
    slot: str = field(default_factory=lambda: f"slot_{uuid.uuid4().hex[:8]}")

    def make_slot(self) -> str:
        """A slot that nobody reads; returns its name."""
        self.admin.run("SELECT pg_create_physical_replication_slot(:slot, true)", slot=self.slot)
        return self.slot

    def slots(self) -> list[str]:
        """This one, as long as it is there: the server is that of other tests too."""
        found = self.admin.run("SELECT slot_name FROM pg_replication_slots WHERE slot_name = :slot", slot=self.slot)
        return [row[0] for row in found]

    @property
    def size(self) -> tuple[int, int]:
        """Size and ceiling in GiB."""
        facts = self.instances.facts(self.instance)
        return facts["AllocatedStorage"], facts["MaxAllocatedStorage"]


@pytest.fixture
def storage(environment: Environment, databases: Databases, postgres_server: Postgres) -> Iterator[Storage]:
    environment.database("booking", arguments(asyncio.run(databases.create("booking"))))
    instances = Instances(environment)
    master = environment.secret("rds-master", {"username": ADMIN, "password": postgres_server.password})
    instance = instances.create("booking", MasterUserSecret={"SecretArn": master})
    known: dict[str, Any] = arguments(postgres_server.admin_url)
    admin = pg8000.native.Connection(
        known["user"],
        password=known["password"],
        host=known["host"],
        port=known["port"],
        database=known["database"],
        ssl_context=known["ssl"],
    )
    made = Storage(instances, instance, admin)
    yield made
    for slot in made.slots():
        admin.run("SELECT pg_drop_replication_slot(:slot)", slot=slot)
    admin.close()


@pytest.fixture
def rds_storage_full(environment: Environment, storage: Storage, postgres_server: Postgres, tmp_path: Path) -> Fault:
    storage.instances.free(storage.instance, 15, 10, 5)
    runbook = RdsStorageFull(service="booking", drop_slot=[storage.make_slot()], patience=0)
    return Fault(
        Bench(runbook, environment, tmp_path),
        state=lambda: (storage.size, storage.slots()),
        mended=lambda: (storage.size, storage.slots()) == ((130, 164), []),
        secrets=(PASSWORD, postgres_server.password),
    )
