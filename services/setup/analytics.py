"""`python -m services.setup.analytics`: bring Metabase to what ANALYTICS_CONTENT describes; safe to repeat.

The first run makes the administrator and switches signed embedding on; every run brings databases, questions and
dashboards, each found by its name in one collection, to what is described, and leaves alone what people made beside
them. The administrator's password turns over: with one that Metabase does not know yet, the program signs in with the
one before and changes it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import httpx
from pydantic import Field, SecretStr, field_validator

from services.setup import documents
from services.setup.documents import Refused, SetupSettings, call

Item: TypeAlias = dict[str, Any]
COLLECTION = "Platform as code"
# Ids of parameters have to stay the same: they are made from names.
_NAMESPACE = uuid.UUID("6a1d3f0e-2b52-4d43-9d7e-5a2f5d6f7c11")


class AnalyticsSettings(SetupSettings):
    """Where Metabase is, its administrator, the databases that it reads, and the document."""

    metabase_url: str = Field(pattern="^https?://")
    metabase_administrator: str = Field(pattern=".@.")
    metabase_password: SecretStr
    metabase_previous_password: SecretStr = SecretStr("")
    metabase_authorities: str = Field(min_length=1, description="file in Metabase's own pod, to verify databases by")
    analytics_content: str
    analytics_databases: SecretStr
    """JSON: name → {host, port, database, username, password} of a login that may read."""

    _document = field_validator("analytics_content")(documents.is_object)


def apply(settings: AnalyticsSettings, transport: httpx.BaseTransport | None = None) -> dict[str, int]:
    """Create or change everything; returns how many of each. Raises Refused, httpx.TransportError."""
    document: Item = json.loads(settings.analytics_content)
    logins: dict[str, dict[str, str]] = json.loads(settings.analytics_databases.get_secret_value())
    with httpx.Client(
        base_url=f"{settings.metabase_url}/api/", timeout=documents.SECONDS, transport=transport
    ) as client:
        _sign_in(client, settings)
        call(client, "PUT", "setting/enable-embedding-static", {"value": True})
        databases = {
            name: _database(client, name, login, settings.metabase_authorities) for name, login in logins.items()
        }
        collection = _put(client, "collection", call(client, "GET", "collection"), {"name": COLLECTION})
        items = call(client, "GET", f"collection/{collection}/items")["data"]
        cards = {
            question["name"]: _question(client, question, databases, collection, items)
            for question in document["questions"]
        }
        for dashboard in document["dashboards"]:
            _dashboard(client, dashboard, document["questions"], cards, collection, items)
    return {"databases": len(databases), "questions": len(cards), "dashboards": len(document["dashboards"])}


def _sign_in(client: httpx.Client, settings: AnalyticsSettings) -> None:
    """As the administrator, who is made if nobody was there before, and whose password is made current."""
    login, password = settings.metabase_administrator, settings.metabase_password.get_secret_value()
    state = call(client, "GET", "session/properties")
    if not state.get("has-user-setup"):
        body = {
            "token": state["setup-token"],
            "user": {"email": login, "password": password, "first_name": "Set-up", "last_name": "Job"},
            "prefs": {"site_name": "Tickets", "allow_tracking": False},
        }
        client.headers["X-Metabase-Session"] = call(client, "POST", "setup", body)["id"]
        return
    if session := _session(client, login, password):
        client.headers["X-Metabase-Session"] = session
        return
    previous = settings.metabase_previous_password.get_secret_value()
    if not previous or not (session := _session(client, login, previous)):
        raise Refused(
            f"Metabase takes neither the current nor the previous password of {login}: set the one that it has in the "
            "secret analytics-administrator, see runbooks/analytics_unavailable.md"
        )
    client.headers["X-Metabase-Session"] = session
    me = call(client, "GET", "user/current")
    call(client, "PUT", f"user/{me['id']}/password", {"password": password, "old_password": previous})


def _session(client: httpx.Client, login: str, password: str) -> str | None:
    answer = client.post("session", json={"username": login, "password": password})
    if answer.status_code in (400, 401):
        return None
    if answer.is_error:
        raise Refused(f"Metabase answers a sign-in with {answer.status_code} {answer.text[:300]}; look at its log")
    return str(answer.json()["id"])


def _put(client: httpx.Client, kind: str, found: Sequence[Item], wanted: Item) -> int:
    """Create or change the item of that name; returns its id."""
    existing = next((item for item in found if item["name"] == wanted["name"]), None)
    if existing is None:
        return int(call(client, "POST", kind, wanted)["id"])
    call(client, "PUT", f"{kind}/{existing['id']}", wanted)
    return int(existing["id"])


def _database(client: httpx.Client, name: str, login: Mapping[str, str], authorities: str) -> int:
    details = {
        **{"host": login["host"], "port": int(login["port"]), "dbname": login["database"]},
        **{"user": login["username"], "password": login["password"]},
        **{"ssl": True, "ssl-mode": "verify-full", "ssl-root-cert-options": "local", "ssl-root-cert-path": authorities},
    }
    found = call(client, "GET", "database")["data"]
    return _put(client, "database", found, {"name": name, "engine": "postgres", "details": details})


def _question(
    client: httpx.Client, question: Item, databases: Mapping[str, int], collection: int, items: Sequence[Item]
) -> int:
    if question["database"] not in databases:
        raise Refused(f"question {question['name']!r} asks {question['database']}, of which no login is given")
    tags = {
        name: {"id": _id(name), "name": name, "display-name": name.title(), "type": "text", "required": True}
        for name in question["parameters"]
    }
    wanted = {
        **{key: question[key] for key in ("name", "description", "display", "visualization_settings")},
        "collection_id": collection,
        "dataset_query": {
            "type": "native",
            "database": databases[question["database"]],
            "native": {"query": question["query"], "template-tags": tags},
        },
    }
    return _put(client, "card", [item for item in items if item["model"] == "card"], wanted)


def _dashboard(
    client: httpx.Client,
    dashboard: Item,
    questions: Sequence[Item],
    cards: Mapping[str, int],
    collection: int,
    items: Sequence[Item],
) -> None:
    asked = {question["name"]: question["parameters"] for question in questions}
    names = sorted({name for card in dashboard["cards"] for name in asked[card["question"]]})
    named = {"name": dashboard["name"], "description": dashboard["description"], "collection_id": collection}
    number = _put(client, "dashboard", [item for item in items if item["model"] == "dashboard"], named)
    wanted = {
        **named,
        "parameters": [
            {"id": _id(name), "name": name.title(), "slug": name, "type": "string/=", "sectionId": "string"}
            for name in names
        ],
        "enable_embedding": dashboard["embedded"],
        "embedding_params": dict.fromkeys(dashboard["locked"], "locked"),
        "dashcards": [
            {
                # Negative: Metabase makes them anew, and with that removes those that were there.
                "id": -place,
                "card_id": cards[card["question"]],
                **{key: card[key] for key in ("row", "col", "size_x", "size_y")},
                "parameter_mappings": [
                    {
                        "parameter_id": _id(name),
                        "card_id": cards[card["question"]],
                        "target": ["variable", ["template-tag", name]],
                    }
                    for name in asked[card["question"]]
                ],
            }
            for place, card in enumerate(dashboard["cards"], 1)
        ],
    }
    call(client, "PUT", f"dashboard/{number}", wanted)


def _id(name: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, name))


def main() -> None:
    """Apply the document, or end with a message and status 1."""
    documents.run("analytics", AnalyticsSettings, apply)


if __name__ == "__main__":
    main()
