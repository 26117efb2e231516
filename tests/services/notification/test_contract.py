"""The notification API keeps its committed contract, whoever asks and whatever is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from pydantic import SecretStr
from schemathesis import Case
from standardwebhooks.webhooks import Webhook

from scripts.local import processes
from services.common import database
from services.contracts import Event
from services.notification import handlers
from services.notification.adapters.store import PostgresStore
from services.notification.entrypoints.api import create_app
from services.notification.settings import ApiSettings
from tests.services.authorisation import BUYER
from tests.services.fuzzing import Headers, Known, a_database, ask, callers, contract, issuing, sent, serving
from tests.services.notification.conftest import event
from tests.support.databases import Originals

SECRET = "whsec_" + "c2lnbmluZy1zZWNyZXQtb2YtdGhlLXRlc3Rz"
schema = contract("notification")


@pytest.fixture(scope="module")
def api(originals: Originals) -> Iterator[tuple[str, Sequence[Headers], Known]]:
    """The application on a database with a delivery that is dead: its URL, its callers, what it knows."""
    with a_database(originals, "notification") as url, issuing() as issuer:
        dead = asyncio.run(_fill(url))
        app = create_app(
            ApiSettings(database_url=SecretStr(url), novu_webhook_secret=SecretStr(SECRET), oidc_issuer=issuer.url)
        )
        with serving(app, processes.free_port()) as address:
            yield address, callers(issuer), {"transaction_id": [dead], "transactionId": [dead]}


async def _fill(url: str) -> str:
    cancelled = event(Event.ORDER_CANCELLED, buyerId=BUYER)
    async with database.pool(url) as pool:
        await handlers.on_event(PostgresStore(pool), cancelled)
        await pool.execute("UPDATE deliveries SET status = 'dead', attempts = 15, decided_at = now()")
        found: str = await pool.fetchval("SELECT transaction_id FROM deliveries")
    return found


def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Sign as Novu does, what is not sent without a signature on purpose."""
    if {"svix-id", "svix-timestamp", "svix-signature"} <= {name.lower() for name in request.headers}:
        now = datetime.now(UTC)
        name = str(request.headers["svix-id"])
        request.headers["svix-timestamp"] = str(int(now.timestamp()))
        request.headers["svix-signature"] = Webhook(SECRET).sign(name, now, sent(request).decode(errors="replace"))
    return request


@schema.parametrize()
def test_no_request_gets_an_answer_that_is_not_documented(
    case: Case[Any], api: tuple[str, Sequence[Headers], Known]
) -> None:
    ask(case, *api, sign)
