"""Who may do what at notification's API: every cell of its table in docs/api.md."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest
from pydantic import SecretStr

from scripts.local.issuer import Issuer
from services.contracts import Event
from services.notification import handlers
from services.notification.adapters.store import PostgresStore
from services.notification.entrypoints.api import create_app
from services.notification.settings import ApiSettings
from tests.services.authorisation import BUYER, Row, ask, asked, table, tokens
from tests.services.notification.conftest import event
from tests.support.databases import Databases

TABLE = table("notification")
BODIES: dict[str, object] = {
    "PUT /preferences": {"locale": "en"},
    "POST /campaigns": {"campaign": "spring", "eventId": "event-1", "subscriberIds": [BUYER]},
}


@pytest.fixture
async def client(notification: asyncpg.Pool, databases: Databases, issuer: Issuer) -> AsyncIterator[httpx.AsyncClient]:
    settings = ApiSettings(
        database_url=SecretStr(databases.service("notification")),
        novu_webhook_secret=SecretStr("whsec_" + "c2lnbmluZy1zZWNyZXQtb2YtdGhlLXRlc3Rz"),
        oidc_issuer=issuer.url,
    )
    app = create_app(settings)
    async with app.router.lifespan_context(app), asked(app, settings, issuer) as made:
        yield made


@pytest.mark.parametrize(("operation", "row"), TABLE.items(), ids=TABLE)
async def test_each_caller_gets_what_the_table_says(
    client: httpx.AsyncClient, notification: asyncpg.Pool, issuer: Issuer, operation: str, row: Row
) -> None:
    await handlers.on_event(PostgresStore(notification), event(Event.ORDER_CANCELLED, buyerId=BUYER))
    await notification.execute("UPDATE deliveries SET status = 'dead', decided_at = now()")
    path = {"transaction_id": await notification.fetchval("SELECT transaction_id FROM deliveries")}
    found: Row = {}
    for caller in row:
        answers = {
            (await ask(client, token, operation, path, BODIES.get(operation))).status_code
            for token in tokens(issuer, caller)
        }
        [found[caller]] = answers
    assert found == row
