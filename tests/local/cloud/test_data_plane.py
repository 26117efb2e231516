"""With a data plane, creating a resource makes the real thing, and AWS's answers name the real address."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import asyncpg
import pytest
import redis

from scripts.local.cloud.data_plane import DataPlane, Postgres, RabbitMQ, Redis
from scripts.local.cloud.running import Addresses, running
from scripts.local.servers import postgres, rabbitmq
from scripts.local.servers import redis as redis_server
from tests.support.engine import Workspace

DATABASE = """
import json
database = aws.rds.Instance("booking", identifier="booking", engine="postgres", instance_class="db.t4g.micro",
    allocated_storage=20, db_name="booking", username="booking_owner", manage_master_user_password=True,
    skip_final_snapshot=True)
pulumi.export("port", database.port)
pulumi.export("endpoint", database.endpoint)
pulumi.export("secret", database.master_user_secrets[0].secret_arn)
"""
CACHE = """
group = aws.elasticache.ReplicationGroup("cache", replication_group_id="cache", description="cache", engine="redis",
    node_type="cache.t4g.micro", num_cache_clusters=1, transit_encryption_enabled=True)
user = aws.elasticache.User("reader", user_id="reader", user_name="reader", engine="redis",
    access_string="on ~cache:* +get", authentication_mode={"type": "password", "passwords": ["a-long-password-of-16"]})
pulumi.export("address", group.primary_endpoint_address)
"""
NAMESAKES = """
for number in range(8):
    password = {"type": "password", "passwords": [f"password-of-cache-{number}"]}
    aws.elasticache.User(f"of-{number}", user_id=f"of-{number}", user_name="platform", engine="redis",
        access_string="on ~* +ping", authentication_mode=password)
"""
BROKER = """
broker = aws.mq.Broker("bus", engine_type="RabbitMQ", engine_version="3.13", host_instance_type="mq.m5.large",
    auto_minor_version_upgrade=True, users=[{"username": "platform", "password": "a-long-password-of-16"}])
pulumi.export("endpoint", broker.instances[0].endpoints[0])
"""
SECRET = """
secret = aws.secretsmanager.Secret("stripe", name="stripe/api-key", recovery_window_in_days=0)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("servers")


@pytest.fixture(scope="module")
def database(place: Path) -> Iterator[postgres.Postgres]:
    with postgres.running(place) as server:
        yield server


@pytest.fixture(scope="module")
def cache(place: Path, database: postgres.Postgres) -> Iterator[redis_server.Redis]:
    with redis_server.running(place) as server:
        yield server


@pytest.fixture(scope="module")
def broker(place: Path, cache: redis_server.Redis) -> Iterator[rabbitmq.RabbitMQ]:
    with rabbitmq.running(place) as server:
        yield server


@pytest.fixture(scope="module")
def cloud(
    place: Path, database: postgres.Postgres, cache: redis_server.Redis, broker: rabbitmq.RabbitMQ
) -> Iterator[Addresses]:
    plane = DataPlane(
        postgres=Postgres(host=database.host, port=database.port, admin_url=database.admin_url),
        redis=Redis(host=cache.host, port=cache.port, admin_url=cache.url()),
        rabbitmq=RabbitMQ(
            host=broker.host,
            port=broker.port,
            management_url=broker.management_url,
            user=rabbitmq.ADMIN,
            password=broker.password,
        ),
        secrets={"stripe/api-key": "sk_test_filled_by_the_operator"},
    )
    with running(folder=place / "cloud", data_plane=plane, env={"SSL_CERT_FILE": str(database.ca)}) as addresses:
        yield addresses


def test_an_rds_instance_is_a_database_and_an_owner_on_the_real_server(
    workspace: Workspace, client: Callable[..., Any], database: postgres.Postgres
) -> None:
    workspace.program(DATABASE)
    created = workspace.up()
    assert created.ok, created.output
    outputs = workspace.outputs()
    assert outputs["endpoint"] == f"{database.host}:{database.port}"
    [instance] = client("rds").describe_db_instances(DBInstanceIdentifier="booking")["DBInstances"]
    assert (instance["Endpoint"]["Address"], instance["Endpoint"]["Port"]) == (database.host, database.port)
    secret = client("secretsmanager").get_secret_value(SecretId=outputs["secret"])["SecretString"]
    assert "booking_owner" in secret
    assert asyncio.run(_databases(database)) == {"booking": "booking_owner"}
    assert workspace.up().steps == {"same": 2}

    assert workspace.destroy().ok
    assert asyncio.run(_databases(database)) == {}


def test_a_cache_user_is_an_entry_of_the_real_access_control_list(
    workspace: Workspace, cache: redis_server.Redis
) -> None:
    workspace.program(CACHE)
    created = workspace.up()
    assert created.ok, created.output
    assert workspace.outputs()["address"] == cache.host
    url = f"rediss://reader:a-long-password-of-16@{cache.host}:{cache.port}/0"
    reader = redis.Redis.from_url(url, ssl_ca_certs=str(cache.ca))
    assert reader.get("cache:nothing") is None
    with pytest.raises(redis.exceptions.NoPermissionError):
        reader.set("cache:something", 1)

    assert workspace.destroy().ok
    with pytest.raises(redis.exceptions.AuthenticationError):
        redis.Redis.from_url(url, ssl_ca_certs=str(cache.ca)).ping()


def test_users_of_one_name_that_are_made_at_once_all_come_in(workspace: Workspace, cache: redis_server.Redis) -> None:
    """Each cache of an environment has a user called as those of the others; here they are one server."""

    def comes_in(number: int) -> bool:
        url = f"rediss://platform:password-of-cache-{number}@{cache.host}:{cache.port}/0"
        return bool(redis.Redis.from_url(url, ssl_ca_certs=str(cache.ca)).ping())

    workspace.program(NAMESAKES)
    assert workspace.up().ok
    assert all(comes_in(number) for number in range(8))
    assert workspace.destroy().ok
    with pytest.raises(redis.exceptions.AuthenticationError):
        comes_in(0)


def test_a_secret_that_an_operator_fills_has_its_value(workspace: Workspace, client: Callable[..., Any]) -> None:
    workspace.program(SECRET)
    assert workspace.up().ok
    value = client("secretsmanager").get_secret_value(SecretId="stripe/api-key")["SecretString"]
    assert value == "sk_test_filled_by_the_operator"
    workspace.destroy()


def test_a_broker_is_an_administrator_on_the_real_server(workspace: Workspace, broker: rabbitmq.RabbitMQ) -> None:
    workspace.program(BROKER)
    created = workspace.up()
    assert created.ok, created.output
    assert workspace.outputs()["endpoint"] == f"amqps://{broker.host}:{broker.port}"
    assert broker.manage("GET", "/api/users/platform") == 200
    assert broker.manage("GET", "/api/permissions/%2F/platform") == 200
    assert workspace.destroy().ok
    with pytest.raises(HTTPError):
        broker.manage("GET", "/api/users/platform")


async def _databases(server: postgres.Postgres) -> dict[str, str]:
    connection = await asyncpg.connect(
        server.admin_url.partition("?")[0], ssl=ssl.create_default_context(cafile=str(server.ca))
    )
    try:
        found = await connection.fetch(
            "SELECT d.datname, r.rolname FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba WHERE NOT r.rolsuper"
        )
        return {row["datname"]: row["rolname"] for row in found}
    finally:
        await connection.close()
