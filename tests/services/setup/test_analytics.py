"""Metabase is a stand-in here, which keeps what it is told: no server of it can be had from package registries.

The questions run on the real schema of the services, as the role that may read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx
import pytest
from pydantic import SecretStr

from components.analytics_content import DASHBOARDS, content
from services.booking.entrypoints.migrate import HIDDEN
from services.common import database, migrations
from services.common.settings import MigrationSettings
from services.setup import analytics
from services.setup.analytics import AnalyticsSettings
from services.setup.documents import Refused
from tests.services.conftest import ROOT
from tests.support.databases import PASSWORD, Databases

LOGINS = {
    name: {"host": "db", "port": "5432", "database": name, "username": f"{name}_reader", "password": "reader's"}
    for name in ("booking", "payment", "notification")
}


@dataclass
class Metabase:
    """The parts of Metabase's API that the program uses, as its documentation describes them."""

    password: str = ""
    things: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {})
    settings: dict[str, Any] = field(default_factory=dict)

    def answer(self, request: httpx.Request) -> httpx.Response:
        kind, *rest = request.url.path.removeprefix("/api/").split("/")
        body = json.loads(request.content) if request.content else {}
        if kind == "session" and request.method == "GET":
            return self._json({"has-user-setup": bool(self.password), "setup-token": "token"})
        if kind == "setup":
            assert body["token"] == "token"
            self.password = body["user"]["password"]
            return self._json({"id": "session"})
        if kind == "session":
            known = body["password"] == self.password
            return self._json({"id": "session"}) if known else httpx.Response(401, text="did not match")
        if request.headers.get("X-Metabase-Session") != "session":
            return httpx.Response(401, text="Unauthenticated")
        if kind == "user":
            return self._user(body)
        if kind == "setting":
            self.settings[rest[0]] = body["value"]
            return httpx.Response(204)
        return self._things(request.method, kind, rest, body)

    def _user(self, body: dict[str, Any]) -> httpx.Response:
        if body:
            assert body["old_password"] == self.password
            self.password = body["password"]
            return httpx.Response(204)
        return self._json({"id": 1})

    def _things(self, method: str, kind: str, rest: list[str], body: dict[str, Any]) -> httpx.Response:
        known = self.things.setdefault(kind, [])
        if method == "POST":
            known.append({**body, "id": len(known) + 1, "model": kind})
            return self._json(known[-1])
        if method == "PUT":
            known[int(rest[0]) - 1].update(body)
            return self._json(known[int(rest[0]) - 1])
        if rest[1:] == ["items"]:
            inside = [
                item
                for model in ("card", "dashboard")
                for item in self.things.get(model, [])
                if item["collection_id"] == int(rest[0])
            ]
            return self._json({"data": inside})
        return self._json(known if kind == "collection" else {"data": known})

    @staticmethod
    def _json(value: Any) -> httpx.Response:
        return httpx.Response(200, json=value)


def apply(server: Metabase, password: str = "first", previous: str = "", **changed: Any) -> dict[str, int]:
    settings = AnalyticsSettings(
        metabase_url="http://analytics:3000",
        metabase_administrator="platform@example.com",
        metabase_password=SecretStr(password),
        metabase_previous_password=SecretStr(previous),
        metabase_authorities="/etc/database-authorities/bundle.pem",
        analytics_content=json.dumps(changed.get("content", content())),
        analytics_databases=SecretStr(json.dumps(changed.get("databases", LOGINS))),
    )
    return analytics.apply(settings, httpx.MockTransport(server.answer))


def test_a_second_run_makes_nothing_twice() -> None:
    server = Metabase()
    assert apply(server) == apply(server) == {"databases": 3, "questions": 6, "dashboards": 2}
    assert {kind: len(items) for kind, items in server.things.items()} == {
        "database": 3,
        "collection": 1,
        "card": 6,
        "dashboard": 2,
    }


def test_databases_are_read_over_verified_tls() -> None:
    server = Metabase()
    apply(server)
    for item in server.things["database"]:
        assert item["details"]["ssl-mode"] == "verify-full"
        assert item["details"]["user"].endswith("_reader")


def test_the_organisers_dashboard_is_shown_for_whom_the_signature_says_and_the_platforms_nowhere() -> None:
    server = Metabase()
    apply(server)
    shown = {item["name"]: item for item in server.things["dashboard"]}
    assert server.settings == {"enable-embedding-static": True}
    assert (shown["Organiser"]["enable_embedding"], shown["Organiser"]["embedding_params"]) == (
        True,
        {"organiser": "locked"},
    )
    assert not shown["Platform"]["enable_embedding"]
    [parameter] = shown["Organiser"]["parameters"]
    for card in shown["Organiser"]["dashcards"]:
        assert [mapping["parameter_id"] for mapping in card["parameter_mappings"]] == [parameter["id"]]


def test_what_somebody_changed_is_as_described_again_and_what_they_made_beside_it_stays() -> None:
    server = Metabase()
    apply(server)
    server.things["card"][0]["dataset_query"] = "changed"
    server.things["card"].append({"id": 7, "name": "Mine", "model": "card", "collection_id": 99})
    apply(server)
    assert server.things["card"][0]["dataset_query"]["type"] == "native"
    assert server.things["card"][-1]["name"] == "Mine"


def test_the_administrators_password_turns_over_and_an_unknown_one_is_refused() -> None:
    server = Metabase()
    apply(server)
    apply(server, "second", "first")
    assert server.password == "second"
    with pytest.raises(Refused, match="neither the current nor the previous password"):
        apply(server, "fourth", "third")


def test_a_question_without_a_login_for_its_database_is_refused() -> None:
    with pytest.raises(Refused, match="asks payment, of which no login is given"):
        apply(Metabase(), databases={name: login for name, login in LOGINS.items() if name != "payment"})


Reader = Callable[[str], Awaitable[Any]]


@pytest.fixture
def reader(databases: Databases) -> Reader:
    """A connection to a service's database as the role that may read."""

    async def connect(service: str) -> Any:
        await databases.create(service)
        url = databases.service(service).replace(f"{service}_service", f"{service}_reader")
        settings = MigrationSettings(
            database_url=SecretStr(databases.service(service)),
            migration_database_url=SecretStr(databases.owner(service)),
            reader_database_url=SecretStr(url),
        )
        hidden = {"booking": HIDDEN, "notification": ("deliveries.payload",)}.get(service, ())
        await migrations.migrate(ROOT / "services" / service / "migrations", settings, hidden=hidden)
        assert PASSWORD in url
        return await asyncpg.connect(**database.arguments(url))

    return connect


@pytest.mark.parametrize("service", ["booking", "payment", "notification"])
async def test_every_question_is_answered_by_the_real_schema_for_the_role_that_may_read(
    reader: Reader, service: str
) -> None:
    connection = await reader(service)
    asked = {question for dashboard in DASHBOARDS for question, _ in dashboard.cards if question.database == service}
    assert asked
    for question in asked:
        statement = re.sub(r"\{\{\s*\w+\s*\}\}", "$1", question.query)
        prepared = await connection.prepare(statement)
        names = {attribute.name for attribute in prepared.get_attributes()}
        assert names >= {*question.dimensions, *question.metrics}, question.name
        await prepared.fetch(*(["nobody"] if question.parameters else []))
    await connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT code FROM tickets",
        "SELECT payload FROM outbox",
        "SELECT response FROM idempotency_keys",
        "UPDATE orders SET status = 'completed'",
        "DELETE FROM events",
        "CREATE TABLE mine (id integer)",
    ],
)
async def test_the_reader_sees_no_code_of_a_ticket_no_message_and_changes_nothing(
    reader: Reader, statement: str
) -> None:
    connection = await reader("booking")
    assert await connection.fetchval("SELECT count(id) FROM tickets") == 0
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(statement)
    await connection.close()
