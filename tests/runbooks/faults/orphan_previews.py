"""Two previews whose stacks are gone and whose stores are not, and one in use; the real function, on real stores."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from components.broker_topology import definitions
from components.functions import tenant
from components.functions.rotation_rabbitmq import call
from components.preview_names import Names
from runbooks.orphan_previews import OrphanPreviews
from scripts.local.servers.postgres import Postgres
from scripts.local.servers.rabbitmq import ADMIN, RabbitMQ
from scripts.local.servers.redis import Redis
from scripts.previews.records import TAG, Record, Records, State
from services.common.database import arguments
from stacks.messaging import PUBLISHERS, SUBSCRIPTIONS
from tests.runbooks.bench import Bench
from tests.runbooks.environment import REGION, Environment
from tests.runbooks.faults import Fault
from tests.support.databases import run

# The function does for each service what it does for one.
SERVICE, FUNCTION, PASSWORD = "booking", "tenants-1a2b3c4", "password-of-a-preview"


@dataclass
class Guests:
    """An environment's stores with previews in them, and the function that gives and takes them back."""

    environment: Environment
    database: Postgres
    broker: RabbitMQ
    calls: int = 0
    made: list[Names] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.records = Records(self.environment.aws("ssm"), self.environment.name)
        self.environment.answers["lambda:Invoke"] = self._called
        self.environment.write(tenantsFunction=FUNCTION)

    def create(self, state: State = State.UP, *, minutes_ago: float = 0, reason: str = "") -> Names:
        """A preview, last used so long ago, with its part of the stores and the logins that its stack made."""
        names = Names(f"pr-{uuid.uuid4().hex[:8]}")
        self.made.append(names)
        for secret, username in self._logins(names).items():
            self.environment.aws("secretsmanager").create_secret(
                Name=names.secret(self.environment.name, secret),
                SecretString=json.dumps({"username": username, "password": PASSWORD}),
                Tags=[{"Key": TAG, "Value": names.preview}, {"Key": "Environment", "Value": self.environment.name}],
            )
        topology = definitions(PUBLISHERS, SUBSCRIPTIONS, names.virtual_host)
        topology["permissions"] = [each for each in topology["permissions"] if each["user"] == SERVICE]
        tenant.handler({"preview": names.preview, "topology": topology, "tf": {"action": "create"}}, None)
        claimed = self.records.claim(names.preview, who="an author", hours=8, pull_request=None, kept=False)
        active = datetime.now(UTC) - timedelta(minutes=minutes_ago)
        self.records.write(claimed.with_(state=state, reason=reason, active=active))
        return names

    def orphan(self, state: State = State.STUCK, *, minutes_ago: float = 0) -> Names:
        """The same, whose stack is destroyed."""
        names = self.create(state, minutes_ago=minutes_ago, reason="the broker did not answer")
        self.lose_stack(names)
        return names

    def lose_stack(self, names: Names) -> None:
        for secret in self._logins(names):
            self.environment.aws("secretsmanager").delete_secret(
                SecretId=names.secret(self.environment.name, secret), ForceDeleteWithoutRecovery=True
            )

    def record(self, names: Names) -> Record | None:
        return self.records.find(names.preview)

    def keeps(self, names: Names) -> set[str]:
        """What the stores have of a preview."""
        roles = "SELECT rolname AS name FROM pg_roles UNION ALL SELECT datname FROM pg_database"
        there = {row["name"] for row in asyncio.run(run(self.database.admin_url, roles))}
        there |= {one["name"] for kind in ("users", "vhosts") for one in call(self._administrator(), "GET", kind)}
        own = {names.database(SERVICE), names.owner(SERVICE), names.role(SERVICE)}
        return there & {*own, names.user(SERVICE), names.virtual_host}

    def break_broker(self) -> None:
        """The function's login at the broker is good no more."""
        self.environment.aws("secretsmanager").put_secret_value(
            SecretId=f"{self.environment.name}/broker-administrator",
            SecretString=json.dumps({**self._administrator(), "password": "wrong"}),
        )

    def mend_broker(self) -> None:
        self.environment.aws("secretsmanager").put_secret_value(
            SecretId=f"{self.environment.name}/broker-administrator", SecretString=json.dumps(self._administrator())
        )

    def measured(self, metric: str, count: float, *, minutes_ago: float = 5) -> None:
        self.environment.aws("cloudwatch").put_metric_data(
            Namespace="AWS/Lambda",
            MetricData=[
                {
                    "MetricName": metric,
                    "Dimensions": [{"Name": "FunctionName", "Value": FUNCTION}],
                    "Timestamp": datetime.now(UTC) - timedelta(minutes=minutes_ago),
                    "Value": count,
                }
            ],
        )

    def share(self, cache: Redis) -> dict[str, str]:
        """Keep the environment's own logins; returns what the function is told of them."""
        secret, database = self.environment.secret, arguments(self.database.admin_url)
        owner = secret("owner", {"username": database["user"], "password": database["password"]})
        address = {"host": database["host"], "port": str(database["port"]), "database": database["database"]}
        secret("booking-database", {**address, "owner": owner})
        secret("broker-administrator", self._administrator())
        login = {"username": "default", "password": cache.password, "host": cache.host, "port": str(cache.port)}
        secret("admission-credentials", login)
        name = self.environment.name
        return {
            "ENVIRONMENT": name,
            "DATABASES": json.dumps({SERVICE: f"{name}/booking-database"}),
            "BROKER": f"{name}/broker-administrator",
            "CACHE": f"{name}/admission-credentials",
            "AWS_DEFAULT_REGION": REGION,
        }

    def _administrator(self) -> dict[str, str]:
        return {"username": ADMIN, "password": self.broker.password, "management": self.broker.management_url}

    def _logins(self, names: Names) -> dict[str, str]:
        return {
            f"{SERVICE}-database-owner": names.owner(SERVICE),
            f"{SERVICE}-database": names.role(SERVICE),
            f"broker-{SERVICE}": names.user(SERVICE),
        }

    def _called(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """As Lambda answers: what a function raises is an answer, too."""
        assert asked["FunctionName"] == FUNCTION
        self.calls += 1
        try:
            said, failed = tenant.handler(json.loads(asked["Payload"]), None), {}
        except Exception as error:
            said = {"errorMessage": str(error), "errorType": type(error).__name__}
            failed = {"FunctionError": "Unhandled"}
        return {"StatusCode": 200, "Payload": BytesIO(json.dumps(said).encode()), **failed}


@pytest.fixture
def guests(
    environment: Environment, postgres_server: Postgres, rabbitmq_server: RabbitMQ, redis_server: Redis
) -> Iterator[Guests]:
    made = Guests(environment, postgres_server, rabbitmq_server)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in made.share(redis_server).items():
            patch.setenv(name, value)
        yield made
        made.mend_broker()
        for names in made.made:
            tenant.handler({"preview": names.preview, "tf": {"action": "delete"}}, None)


@pytest.fixture
def orphan_previews(guests: Guests, tmp_path: Path) -> Fault:
    gone, neighbour = [guests.orphan(), guests.orphan()], guests.create()

    def mended() -> bool:
        left = any(guests.keeps(names) or guests.record(names) for names in gone)
        return not left and len(guests.keeps(neighbour)) == 5 and guests.record(neighbour) is not None

    return Fault(
        Bench(OrphanPreviews(), guests.environment, tmp_path),
        state=lambda: [guests.keeps(names) for names in guests.made],
        mended=mended,
        secrets=(PASSWORD, guests.broker.password),
    )
