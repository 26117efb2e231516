"""Two previews on one platform: beside each other, apart from each other, and gone without a trace."""

from __future__ import annotations

import asyncio
import json
import ssl
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aio_pika
import asyncpg
import httpx
import pytest
import redis
import requests

from components.preview_names import Names
from scripts.local.certificates import trusting
from scripts.local.kubernetes.api import Api
from services.common import database
from stacks.settings import SERVICES
from tests.local.platform.support import PATIENCE, Platform

pytestmark = pytest.mark.timeout(PATIENCE * 3)
ENVIRONMENT = "local"
FIRST, SECOND = Names("pr-12"), Names("pr-12-booking")


def secret(platform: Platform, names: Names, name: str) -> dict[str, str]:
    """A login of a preview."""
    return platform.secret(names.secret(ENVIRONMENT, name))


def traces(platform: Platform, names: Names) -> set[str]:
    """Everything that has the preview's name, wherever it would be."""
    plane = json.loads((platform.layout.folder / "cloud" / "data-plane.json").read_text())
    administrator = asyncio.run(_rows(plane["postgres"]["admin_url"], "SELECT rolname FROM pg_roles"))
    databases = asyncio.run(_rows(plane["postgres"]["admin_url"], "SELECT datname FROM pg_database"))
    broker = plane["rabbitmq"]
    management = {
        one["name"]
        for kind in ("users", "vhosts")
        for one in requests.get(
            f"{broker['management_url']}/api/{kind}",
            auth=(broker["user"], broker["password"]),
            verify=str(platform.layout.authority.bundle),
            timeout=10,
        ).json()
    }
    cache: Any = redis.Redis.from_url(
        plane["redis"]["admin_url"], ssl_ca_certs=str(platform.layout.authority.bundle), decode_responses=True
    )
    cached = {*cache.execute_command("ACL", "USERS"), *cache.keys(f"{names.cache_prefix}*")}
    client = platform.aws
    aws = {
        *(one["Name"] for one in client("secretsmanager").list_secrets(MaxResults=100)["SecretList"]),
        *(
            one["ResourceARN"]
            for one in client("resourcegroupstaggingapi").get_resources(
                TagFilters=[{"Key": "Preview", "Values": [names.preview]}]
            )["ResourceTagMappingList"]
        ),
        *(
            value
            for rule in client("elbv2").describe_rules(
                ListenerArn=client("elbv2").describe_listeners(
                    LoadBalancerArn=client("elbv2").describe_load_balancers()["LoadBalancers"][0]["LoadBalancerArn"]
                )["Listeners"][0]["ListenerArn"]
            )["Rules"]
            for condition in rule["Conditions"]
            for value in condition.get("HostHeaderConfig", {}).get("Values", [])
        ),
    }
    stacks = {path.stem for path in (platform.layout.folder / "state").rglob("stacks/**/*.json")}
    mine = {
        names.virtual_host, names.cache_user, names.namespace, f"{names.preview}.tickets.local.example.com",
        f"{ENVIRONMENT}.{names.preview}", *(names.user(each) for each in SERVICES),
        *(name for each in SERVICES for name in (names.database(each), names.owner(each), names.role(each))),
    }  # fmt: skip
    there = {*administrator, *databases, *management, *cached, *aws, *stacks, *asyncio.run(_namespaces(platform))}
    folder = names.secret(ENVIRONMENT, "")
    return {one for one in there if one in mine or one.startswith(folder) or names.cache_prefix in one}


async def _namespaces(platform: Platform) -> set[str]:
    async with Api(Path(platform.record.kubeconfig)) as api:
        return {one["metadata"]["name"] for one in (await api.get("/api/v1/namespaces"))["items"]}


async def _rows(url: str, statement: str) -> set[str]:
    context = ssl.create_default_context()
    connection = await asyncpg.connect(url.partition("?")[0], ssl=context if "sslmode=verify" in url else None)
    try:
        return {str(row[0]) for row in await connection.fetch(statement)}
    finally:
        await connection.close()


@pytest.fixture(scope="module", autouse=True)
def _trusting(platform: Platform) -> Iterator[None]:
    with trusting(platform.layout.authority.bundle):
        yield


@pytest.fixture(scope="module")
def both(platform: Platform) -> dict[str, dict[str, Any]]:
    """Two previews made at once; the smoke test of each has bought a ticket. What they say of themselves."""
    started = [platform.begun(*_preview("up", names.preview, "--json")) for names in (FIRST, SECOND)]
    answers = [process.communicate(timeout=PATIENCE * 2)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0]
    return {found["name"]: found for found in map(json.loads, answers)}


def _preview(*arguments: str) -> tuple[str, ...]:
    return "preview", *arguments, "--local"


def test_both_are_up_with_an_address_an_end_and_a_price(platform: Platform, both: dict[str, dict[str, Any]]) -> None:
    assert {found["url"] for found in both.values()} == {
        f"https://{names.preview}.tickets.local.example.com" for names in (FIRST, SECOND)
    }
    assert all(found["ticket"] and 0 < found["monthly"] < 20 for found in both.values())
    assert {row["preview"]: row["state"] for row in platform.answer(*_preview("list"))} == dict.fromkeys(both, "up")


def test_neither_reaches_into_the_others_database(platform: Platform, both: dict[str, dict[str, Any]]) -> None:
    del both
    for login in ("booking-database", "booking-database-owner"):
        own = secret(platform, FIRST, login)
        where = secret(platform, FIRST, "booking-database")
        for name in (SECOND.database("booking"), "booking"):
            url = f"postgresql://{own['username']}:{own['password']}@{where['host']}:{where['port']}/{name}"
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                asyncio.run(_connect(url))


def test_neither_reaches_into_the_others_virtual_host(platform: Platform, both: dict[str, dict[str, Any]]) -> None:
    del both
    own = secret(platform, FIRST, "broker-booking")
    for host in (SECOND.virtual_host, "platform"):
        with pytest.raises((aio_pika.exceptions.AMQPError, ConnectionError)):
            asyncio.run(_open(f"amqps://{own['username']}:{own['password']}@{own['address']}/{host}"))


def test_neither_reads_nor_writes_the_others_keys(platform: Platform, both: dict[str, dict[str, Any]]) -> None:
    del both
    cache = platform.cache(secret(platform, FIRST, "cache"))
    assert cache.set(f"{FIRST.cache_prefix}mine", "1")
    for key in (f"{SECOND.cache_prefix}theirs", "room:of-the-environment"):
        with pytest.raises(redis.exceptions.NoPermissionError):
            cache.set(key, "1")
        with pytest.raises(redis.exceptions.NoPermissionError):
            cache.get(key)


def test_a_pod_of_one_may_use_the_queues_of_its_own_saga_alone(
    platform: Platform, both: dict[str, dict[str, Any]]
) -> None:
    del both
    iam, eks = platform.aws("iam"), platform.aws("eks")
    [cluster] = eks.list_clusters()["clusters"]
    for names, other in ((FIRST, SECOND), (SECOND, FIRST)):
        where = {"clusterName": cluster, "namespace": names.namespace}
        [known] = eks.list_pod_identity_associations(**where, serviceAccount="booking")["associations"]
        found = eks.describe_pod_identity_association(clusterName=cluster, associationId=known["associationId"])
        role = found["association"]["roleArn"].rsplit("/", 1)[1]
        [policy] = iam.list_role_policies(RoleName=role)["PolicyNames"]
        document = json.dumps(iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"])
        mine, theirs = (_queues(platform, each) for each in (names, other))
        assert any(arn in document for arn in mine)
        assert not any(arn in document for arn in theirs)


def test_the_host_name_alone_leads_to_one_or_the_other_and_their_events_are_apart(
    platform: Platform, both: dict[str, dict[str, Any]]
) -> None:
    """Somebody who is signed in for all comes to one balancer; the environment's own host is among the others."""
    asked = {"sub": "somebody", "roles": ["organiser"]}
    token = httpx.post(f"{platform.record.urls['issuer']}/token", json=asked).json()["access_token"]

    def visitor(host: str) -> httpx.Client:
        return httpx.Client(
            base_url=f"{platform.record.urls['balancer']}/api/booking",
            headers={"Authorization": f"Bearer {token}", "Host": host, "Idempotency-Key": uuid.uuid4().hex},
            verify=ssl.create_default_context(cafile=platform.layout.authority.bundle),
        )

    first, second = (visitor(httpx.URL(both[names.preview]["url"]).host) for names in (FIRST, SECOND))
    starts = (datetime.now(UTC) + timedelta(days=30)).isoformat()
    made = first.post("/events", json={"name": "Ours", "startsAt": starts}).raise_for_status().json()
    path = f"/events/{made['id']}"
    assert first.get(path).status_code == 200
    assert [other.get(path).status_code for other in (second, visitor("tickets.local.example.com"))] == [404, 404]


def test_the_reaper_says_what_it_then_does_and_what_it_cannot_undo(
    platform: Platform, both: dict[str, dict[str, Any]]
) -> None:
    """A destroy that fails is kept and told, and a second one ends it; the neighbour stays until it goes itself."""
    assert traces(platform, FIRST)
    assert traces(platform, SECOND)
    broken: dict[str, Any] = {"kind": "throttle", "call": "lambda.invoke", "times": 1000}
    requests.post(f"{platform.cloud.control}/faults", json=broken, timeout=10).raise_for_status()
    try:
        failed = platform.eventctl(*_preview("down", FIRST.preview, "--apply"))
    finally:
        requests.delete(f"{platform.cloud.control}/faults", timeout=10).raise_for_status()
    assert failed.returncode == 1, failed.stdout
    assert "Throttling" in failed.stderr
    assert {row["preview"]: row["state"] for row in platform.answer(*_preview("list"))}[FIRST.preview] == "stuck"

    wanted = ("reap", "--most", "1", "--open", "")
    platform.answer(*_preview("extend", SECOND.preview, "--ttl", "1h"))
    planned = platform.answer(*_preview(*wanted))
    assert [(one["kind"], one["name"]) for one in planned["actions"]] == [("told", FIRST.preview)]
    assert platform.answer(*_preview(*wanted, "--apply")) == {**planned, "applied": True}
    assert traces(platform, FIRST)

    assert platform.answer(*_preview("down", FIRST.preview, "--apply"))["applied"]
    assert traces(platform, FIRST) == set()
    assert traces(platform, SECOND)
    assert platform.answer(*_preview("down", SECOND.preview))["applied"] is False
    assert platform.answer(*_preview("down", SECOND.preview, "--apply"))["applied"]
    assert traces(platform, SECOND) == set()
    assert platform.answer(*_preview("list")) == []
    assert platform.eventctl(*_preview("down", SECOND.preview)).returncode == 2


def _queues(platform: Platform, names: Names) -> set[str]:
    found = platform.aws("resourcegroupstaggingapi").get_resources(
        TagFilters=[{"Key": "Preview", "Values": [names.preview]}], ResourceTypeFilters=["sqs"]
    )["ResourceTagMappingList"]
    return {one["ResourceARN"] for one in found}


async def _connect(url: str) -> None:
    await (await asyncpg.connect(**database.arguments(url))).close()


async def _open(url: str) -> None:
    async with await aio_pika.connect(url, ssl_context=ssl.create_default_context(), timeout=10):
        return
