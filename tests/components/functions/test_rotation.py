"""Rotation against real servers and Secrets Manager's own protocol: the old login works until the next time."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aio_pika
import asyncpg
import boto3
import pytest
from redis import Redis

from components.functions.rotation import NotRotatable, Store, rotate
from components.functions.rotation_key import Key
from components.functions.rotation_postgresql import PostgreSQL
from components.functions.rotation_rabbitmq import RabbitMQ as RabbitMQUsers
from components.functions.rotation_valkey import Valkey
from scripts.local.certificates import Authority, trusting
from scripts.local.cloud.rotations import STEPS
from scripts.local.servers import postgres, rabbitmq, redis
from scripts.local.servers.rabbitmq import ADMIN
from services.common import database
from tests.services.broker import PASSWORD, set_up
from tests.support.aws import mocked_aws
from tests.support.rotation import Rotation


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = tmp_path_factory.mktemp("rotation")
    with trusting(Authority(made).create().bundle):
        yield made


@pytest.fixture
def client() -> Iterator[Any]:
    with mocked_aws():
        yield boto3.client("secretsmanager", region_name="eu-west-3")


def kept(client: Any, value: dict[str, str]) -> str:
    """A secret with ``value``; returns its ARN."""
    name = f"dev/{uuid.uuid4().hex[:8]}"
    arn: str = client.create_secret(Name=name, SecretString=json.dumps(value))["ARN"]
    return arn


def value(client: Any, arn: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(client.get_secret_value(SecretId=arn, VersionStage="AWSCURRENT")["SecretString"])
    return found


class Enabled(Rotation):
    """A rotation of a secret that has a schedule; Secrets Manager may call a step again, also one that was done."""

    def describe_secret(self, **arguments: Any) -> dict[str, Any]:
        return {**super().describe_secret(**arguments), "RotationEnabled": True}

    def whole(self, store: Store) -> None:
        for step in STEPS:
            self.step(step, store)
            self.step(step, store)


def test_postgresql_logins_take_turns_and_the_one_before_goes_on_working(folder: Path, client: Any) -> None:
    with postgres.running(folder) as server:
        owner = server.create("booking", "booking_owner", "owner-password")
        login = database.arguments(owner)
        asyncio.run(_sql(owner, "CREATE TABLE holds (id int); CREATE ROLE booking_service LOGIN PASSWORD 'first'"))
        asyncio.run(_sql(owner, "GRANT SELECT, INSERT ON holds TO booking_service"))
        owners = kept(client, {"username": "booking_owner", "password": "owner-password"})
        address = {"host": server.host, "port": str(login["port"]), "database": "booking", "owner": owners}
        arn = kept(client, {**address, "username": "booking_service", "password": "first"})
        logins = [value(client, arn)]
        for _ in range(3):
            Enabled(client, arn).whole(PostgreSQL(client))
            logins.append(value(client, arn))
            for each in logins[-2:]:
                url = server.url(each["username"], "booking", each["password"])
                asyncio.run(_sql(url, "INSERT INTO holds VALUES (1)"))
        assert [each["username"] for each in logins] == ["booking_service", "booking_service_b"] * 2
        assert len({each["password"] for each in logins}) == 4
        # What was used three rotations ago opens nothing.
        with pytest.raises(asyncpg.InvalidPasswordError):
            asyncio.run(_sql(server.url("booking_service", "booking", "first"), "SELECT 1"))


async def _sql(url: str, statement: str) -> None:
    connection = await asyncpg.connect(**database.arguments(url))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def test_rabbitmq_logins_take_turns_with_the_same_rights(folder: Path, client: Any) -> None:
    with rabbitmq.running(folder) as server:
        set_up(server)(["booking"], [])
        administrator = kept(client, {"username": ADMIN, "password": server.password})
        address = {"management": server.management_url, "administrator": administrator}
        arn = kept(client, {**address, "username": "booking", "password": PASSWORD})
        logins = [value(client, arn)]
        for _ in range(2):
            Enabled(client, arn).whole(RabbitMQUsers(client))
            logins.append(value(client, arn))
            for each in logins[-2:]:
                asyncio.run(_publish(f"amqps://{each['username']}:{each['password']}@{server.host}:{server.port}"))
        assert [each["username"] for each in logins] == ["booking", "booking_b", "booking"]

        own = kept(client, {"username": ADMIN, "password": server.password, "management": server.management_url})
        Enabled(client, own).whole(RabbitMQUsers(client))
        assert value(client, own)["password"] != server.password
        assert value(client, own)["username"] == ADMIN


async def _publish(url: str) -> None:
    context = ssl.create_default_context()
    connection = await aio_pika.connect(f"{url}/platform", ssl_context=context, timeout=10)
    async with connection, connection.channel() as channel:
        exchange = await channel.get_exchange("platform.events")
        await exchange.publish(aio_pika.Message(b"{}"), routing_key="order.placed")


class Users:
    """ElastiCache's user calls, with boto3's names, on a real Redis: moto keeps users and has no server behind them."""

    def __init__(self, admin: Any) -> None:
        self._admin = admin

    def modify_user(self, UserId: str, AuthenticationMode: dict[str, Any]) -> None:  # noqa: N803
        passwords = AuthenticationMode["Passwords"]
        assert len(passwords) <= 2, "ElastiCache allows two passwords"
        rules = ["on", "~*", "+@all", *(f">{password}" for password in passwords)]
        self._admin.execute_command("ACL", "SETUSER", "platform", "reset", *rules)

    def describe_users(self, UserId: str) -> dict[str, Any]:  # noqa: N803
        return {"Users": [{"UserId": UserId, "Status": "active"}]}


def test_a_cache_user_has_the_old_password_until_the_next_rotation(folder: Path, client: Any) -> None:
    with redis.running(folder) as server:
        admin: Any = Redis.from_url(server.url(), ssl_ca_certs=str(server.ca))
        store = Valkey(Users(admin))
        admin.execute_command("ACL", "SETUSER", "platform", "on", "~*", "+@all", ">first")
        address = {"host": server.host, "port": str(server.port), "user_id": "dev-admission"}
        arn = kept(client, {**address, "username": "platform", "password": "first"})
        passwords = ["first"]
        for _ in range(2):
            Enabled(client, arn).whole(store)
            passwords.append(value(client, arn)["password"])
            for password in passwords[-2:]:
                store.try_out({**value(client, arn), "password": password})
        with pytest.raises(NotRotatable, match="WRONGPASS"):
            store.try_out({**value(client, arn), "password": "first"})
        admin.close()


def test_a_key_is_followed_by_the_one_that_was_known_before_it(client: Any) -> None:
    first, second = "a" * 32, "b" * 32
    arn = kept(client, {"key": first, "next": second, "previous": "", "url": "http://search:8108"})
    Enabled(client, arn).whole(Key())
    turned = value(client, arn)
    assert (turned["previous"], turned["key"], turned["url"]) == (first, second, "http://search:8108")
    assert turned["next"] not in (first, second)
    Enabled(client, arn).whole(Key())
    assert value(client, arn)["key"] == turned["next"]


@pytest.mark.parametrize("following", ["a" * 32, "short"])
def test_a_key_that_is_no_other_or_too_short_never_becomes_the_current_one(client: Any, following: str) -> None:
    class Repeating(Key):
        """Draws the same again."""

        def following(self, current: dict[str, str], password: str) -> dict[str, str]:
            return super().following(current, following)

    arn = kept(client, {"key": "b" * 32, "next": "a" * 32, "previous": ""})
    with pytest.raises(NotRotatable, match="the same, or shorter than 24"):
        Enabled(client, arn).whole(Repeating())
    assert value(client, arn)["key"] == "b" * 32


class Broken:
    """A store that never takes the new login."""

    def following(self, current: dict[str, str], password: str) -> dict[str, str]:
        return {**current, "password": password}

    def grant(self, current: dict[str, str], pending: dict[str, str]) -> None:
        """Do nothing."""

    def try_out(self, pending: dict[str, str]) -> None:
        raise ConnectionRefusedError(socket.gethostname())


def test_a_login_that_does_not_work_never_becomes_the_current_one(client: Any) -> None:
    arn = kept(client, {"username": "booking", "password": "first"})
    rotating = Enabled(client, arn)
    with pytest.raises(ConnectionRefusedError):
        rotating.whole(Broken())
    assert value(client, arn)["password"] == "first"


def test_a_secret_without_a_schedule_is_refused(client: Any) -> None:
    arn = kept(client, {"username": "booking", "password": "first"})
    event = {"SecretId": arn, "ClientRequestToken": str(uuid.uuid4()), "Step": "createSecret"}
    with pytest.raises(NotRotatable, match="is not enabled for rotation"):
        rotate(event, Broken(), client)


def test_a_version_that_is_not_pending_is_refused(client: Any) -> None:
    arn = kept(client, {"username": "booking", "password": "first"})
    version = client.put_secret_value(SecretId=arn, SecretString="{}", VersionStages=["OTHER"])["VersionId"]
    rotating = Enabled(client, arn)
    rotating.token = version
    with pytest.raises(NotRotatable, match="must be AWSPENDING"):
        rotating.step("createSecret", Broken())


def test_an_unknown_step_is_refused_with_those_that_exist(client: Any) -> None:
    rotating = Enabled(client, kept(client, {"username": "booking", "password": "first"}))
    with pytest.raises(ValueError, match="createSecret, setSecret, testSecret, finishSecret"):
        rotating.step("forgetSecret", Broken())
