"""A preview's part of the stores, on real servers: only its own, made twice without harm, and taken back whole."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import asyncpg
import boto3
import pytest
from redis import Redis

from components.broker_topology import definitions
from components.functions import tenant
from components.functions.rotation_rabbitmq import call
from components.preview_names import Names
from scripts.local.certificates import Authority, trusting
from scripts.local.servers import postgres, rabbitmq, redis
from scripts.local.servers.rabbitmq import ADMIN
from services.common import database, migrations
from services.common.settings import MigrationSettings
from stacks.messaging import PUBLISHERS, SUBSCRIPTIONS
from stacks.settings import SERVICES
from tests.support.aws import mocked_aws
from tests.support.databases import run

SCHEMA = Path("services", "booking", "migrations")


@dataclass(frozen=True, slots=True)
class Shared:
    """The stores of an environment, and Secrets Manager with what it holds."""

    database: postgres.Postgres
    broker: rabbitmq.RabbitMQ
    cache: redis.Redis
    secrets: Any

    def ask(self, action: str, preview: str, **more: Any) -> dict[str, Any]:
        """Call the function, as the preview's stack does."""
        host = Names(preview).virtual_host
        topology = definitions(PUBLISHERS, SUBSCRIPTIONS, host)
        event = {"preview": preview, "topology": topology, "tf": {"action": action}, **more}
        return tenant.handler(event, None)

    def preview(self, name: str) -> Names:
        """The secrets that a preview's stack makes before it calls."""
        names = Names(name)
        for service in SERVICES:
            for secret, username in (
                (f"{service}-database-owner", names.owner(service)),
                (f"{service}-database", names.role(service)),
                (f"broker-{service}", names.user(service)),
            ):
                self._keep(names.secret("dev", secret), {"username": username, "password": f"password-of-{name}"})
        return names

    def _keep(self, name: str, value: dict[str, str]) -> None:
        self.secrets.create_secret(Name=name, SecretString=json.dumps(value))

    def administrator(self) -> dict[str, str]:
        return {"username": ADMIN, "password": self.broker.password, "management": self.broker.management_url}

    def query(self, statement: str) -> list[dict[str, Any]]:
        return asyncio.run(run(self.database.admin_url, statement))

    def clear(self) -> Redis:
        """A client of the cache that may do everything."""
        return Redis.from_url(self.cache.url(), ssl_ca_certs=str(self.cache.ca), decode_responses=True)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    folder = tmp_path_factory.mktemp("tenant")
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        stack.enter_context(trusting(Authority(folder).create().bundle))
        server = stack.enter_context(postgres.running(folder))
        broker = stack.enter_context(rabbitmq.running(folder))
        cache = stack.enter_context(redis.running(folder))
        stack.enter_context(mocked_aws())
        patch.setenv("AWS_DEFAULT_REGION", "eu-west-3")
        secrets = boto3.client("secretsmanager", region_name="eu-west-3")
        made = Shared(server, broker, cache, secrets)
        for service in SERVICES:
            # As RDS makes it: no superuser, but one who makes roles and databases.
            url = server.create(service, f"{service}_owner", "owner-password")
            made.query(f"ALTER ROLE {service}_owner CREATEROLE CREATEDB")
            made.query(f"REVOKE ALL ON DATABASE {service} FROM PUBLIC")
            address = database.arguments(url)
            made._keep(f"rds!{service}", {"username": f"{service}_owner", "password": "owner-password"})
            made._keep(
                f"dev/{service}-database",
                {"host": server.host, "port": str(address["port"]), "database": service, "owner": f"rds!{service}"},
            )
        made._keep("dev/broker-administrator", made.administrator())
        made._keep(
            "dev/admission-credentials",
            {"username": "default", "password": cache.password, "host": cache.host, "port": str(cache.port)},
        )
        for name, value in {
            "ENVIRONMENT": "dev",
            "DATABASES": json.dumps({service: f"dev/{service}-database" for service in SERVICES}),
            "BROKER": "dev/broker-administrator",
            "CACHE": "dev/admission-credentials",
        }.items():
            patch.setenv(name, value)
        yield made


def migrate(shared: Shared, names: Names) -> str:
    """Run booking's real migration as the preview's owner; returns the URL of the role that it makes."""
    name = names.database("booking")
    service = shared.database.url(names.role("booking"), name, f"password-of-{names.preview}")
    owner = shared.database.url(names.owner("booking"), name, f"password-of-{names.preview}")
    settings = MigrationSettings.model_validate({"database_url": service, "migration_database_url": owner})
    asyncio.run(migrations.migrate(SCHEMA, settings))
    return service


def test_a_preview_gets_databases_in_which_the_real_migration_makes_the_services_role(shared: Shared) -> None:
    names = shared.preview("pr-1")
    for action in ("create", "update"):
        assert shared.ask(action, "pr-1")["virtual_host"] == "preview-pr-1"
    service = migrate(shared, names)
    assert asyncio.run(run(service, "SELECT count(*) AS found FROM events")) == [{"found": 0}]


def test_its_roles_reach_neither_the_environments_databases_nor_another_previews(shared: Shared) -> None:
    ours, theirs = (shared.preview(name) for name in ("pr-2", "pr-2-booking"))
    for names in (ours, theirs):
        shared.ask("create", names.preview)
    migrate(shared, ours)
    for role in (ours.owner("booking"), ours.role("booking")):
        for elsewhere in ("booking", theirs.database("booking")):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                asyncio.run(run(shared.database.url(role, elsewhere, "password-of-pr-2"), "SELECT 1"))
    owner = shared.database.url(ours.owner("booking"), ours.database("booking"), "password-of-pr-2")
    for statement in (
        "ALTER ROLE booking_owner PASSWORD 'stolen'",
        f"GRANT {theirs.owner('booking')} TO {ours.owner('booking')}",
        "CREATE ROLE somebody SUPERUSER",
        "CREATE DATABASE another",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            asyncio.run(run(owner, statement))


def test_its_logins_at_the_broker_see_its_own_virtual_host_alone(shared: Shared) -> None:
    names = shared.preview("pr-3")
    shared.ask("create", "pr-3")
    administrator = shared.administrator()
    queues = {one["name"] for one in call(administrator, "GET", f"queues/{names.virtual_host}")}
    assert {each.queue for each in SUBSCRIPTIONS} <= queues
    for service in SERVICES:
        hosts = [one["vhost"] for one in call(administrator, "GET", f"users/{names.user(service)}/permissions")]
        assert hosts == [names.virtual_host]


def test_it_is_taken_back_whole_while_sessions_are_open_and_its_neighbour_stays(shared: Shared) -> None:
    names, neighbour = shared.preview("pr-4"), shared.preview("pr-4-booking")
    for each in (names, neighbour):
        shared.ask("create", each.preview)
    url = migrate(shared, names)
    cache = shared.clear()
    for each in (names, neighbour):
        cache.mset({f"{each.cache_prefix}room:{number}": "1" for number in range(2500)})

    async def take_back() -> dict[str, Any]:
        session = await asyncpg.connect(**database.arguments(url))
        try:
            return await asyncio.to_thread(shared.ask, "delete", "pr-4")
        finally:
            session.terminate()

    assert asyncio.run(take_back()) == {"keys": 2500}
    left = {
        *(row["name"] for row in shared.query("SELECT rolname AS name FROM pg_roles")),
        *(row["name"] for row in shared.query("SELECT datname AS name FROM pg_database")),
        *(one["name"] for kind in ("users", "vhosts") for one in call(shared.administrator(), "GET", kind)),
    }
    ours = {names.virtual_host, *(names.user(each) for each in SERVICES)}
    ours |= {name for each in SERVICES for name in (names.database(each), names.owner(each), names.role(each))}
    assert not left & ours
    assert {neighbour.virtual_host, *(neighbour.database(each) for each in SERVICES)} <= left
    assert len(cache.keys(f"{neighbour.cache_prefix}*")) == 2500
    assert shared.ask("delete", "pr-4") == {"keys": 0}


@pytest.mark.parametrize(
    ("event", "says"),
    [
        ({"preview": 'x"; DROP DATABASE booking'}, "no name for a preview"),
        ({"preview": "PR-12"}, "no name for a preview"),
        ({"preview": "pr-5", "tf": {"action": "destroy"}}, "create, update and delete"),
        ({"preview": "pr-5", "topology": definitions(PUBLISHERS, SUBSCRIPTIONS)}, "of platform; that of pr-5"),
    ],
    ids=["quoting", "capitals", "action", "another-host"],
)
def test_what_is_not_a_previews_own_is_refused(shared: Shared, event: dict[str, Any], says: str) -> None:
    if event["preview"] == "pr-5" and "topology" in event:
        shared.preview("pr-5")
    asked = {"topology": definitions(PUBLISHERS, SUBSCRIPTIONS, "preview-pr-5"), "tf": {"action": "create"}, **event}
    with pytest.raises(ValueError, match=says):
        tenant.handler(asked, None)


def test_a_secret_that_names_another_role_makes_nobody_its_owner(shared: Shared) -> None:
    names = shared.preview("pr-6")
    shared.secrets.put_secret_value(
        SecretId=names.secret("dev", "booking-database-owner"),
        SecretString=json.dumps({"username": "booking_owner", "password": "stolen"}),
    )
    with pytest.raises(ValueError, match="booking_owner'; its own is 'preview_pr_6_booking_owner"):
        shared.ask("create", "pr-6")


def test_a_failure_is_raised_so_that_the_stack_keeps_what_it_knows(shared: Shared) -> None:
    names = shared.preview("pr-7")
    shared.ask("create", "pr-7")
    shared.secrets.put_secret_value(
        SecretId="dev/broker-administrator", SecretString=json.dumps({**shared.administrator(), "password": "wrong"})
    )
    try:
        with pytest.raises(HTTPError):
            shared.ask("delete", "pr-7")
    finally:
        shared.secrets.put_secret_value(
            SecretId="dev/broker-administrator", SecretString=json.dumps(shared.administrator())
        )
    assert shared.ask("delete", "pr-7") == {"keys": 0}
    hosts = {one["name"] for one in call(shared.administrator(), "GET", "vhosts")}
    assert names.virtual_host not in hosts
