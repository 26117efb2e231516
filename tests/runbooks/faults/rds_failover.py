"""Two databases in a zone that is ill, each with a standby in another."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from runbooks.rds_failover import RdsFailover
from services.common.database import arguments
from tests.runbooks.bench import Bench
from tests.runbooks.environment import Environment
from tests.runbooks.faults import Fault
from tests.runbooks.instances import Instances
from tests.support.databases import PASSWORD, Databases

ILL, WELL = "eu-west-3a", "eu-west-3b"


@dataclass(frozen=True)
class Standbys:
    """Instances of booking and payment in the ill zone; their databases are on a real server, which does not move."""

    instances: Instances
    ids: dict[str, str]

    @property
    def zones(self) -> dict[str, str]:
        return {service: self.instances.facts(name)["AvailabilityZone"] for service, name in self.ids.items()}


@pytest.fixture
def standbys(environment: Environment, databases: Databases) -> Standbys:
    instances, ids = Instances(environment), {}
    for service in ("booking", "payment"):
        environment.database(service, arguments(asyncio.run(databases.create(service))))
        ids[service] = instances.create(
            service,
            MultiAZ=True,
            AvailabilityZone=ILL,
            SecondaryAvailabilityZone=WELL,
            ReadReplicaDBInstanceIdentifiers=[f"{service}-reader"],
        )
    return Standbys(instances, ids)


@pytest.fixture
def rds_failover(environment: Environment, standbys: Standbys, tmp_path: Path) -> Fault:
    runbook = RdsFailover(service=["booking", "payment"], away_from=ILL, patience=0)
    return Fault(
        Bench(runbook, environment, tmp_path),
        state=lambda: standbys.zones,
        mended=lambda: standbys.zones == {"booking": WELL, "payment": WELL},
        secrets=(PASSWORD,),
    )
