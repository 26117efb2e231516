"""Who may do what at payment's API: every cell of its table in docs/api.md."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest
from pydantic import SecretStr

from scripts.local.issuer import Issuer
from services.payment.entrypoints.api import create_app
from services.payment.settings import ApiSettings
from tests.services.authorisation import BUYER, Row, ask, asked, table, tokens
from tests.services.payment.support import paid_by
from tests.support.databases import Databases

TABLE = table("payment")


@pytest.fixture
async def client(payment: asyncpg.Pool, databases: Databases, issuer: Issuer) -> AsyncIterator[httpx.AsyncClient]:
    settings = ApiSettings(
        database_url=SecretStr(databases.service("payment")),
        stripe_webhook_secret=SecretStr("whsec_test_secret"),
        oidc_issuer=issuer.url,
    )
    app = create_app(settings)
    async with app.router.lifespan_context(app), asked(app, settings, issuer) as made:
        yield made


@pytest.mark.parametrize(("operation", "row"), TABLE.items(), ids=TABLE)
async def test_each_caller_gets_what_the_table_says(
    client: httpx.AsyncClient, payment: asyncpg.Pool, issuer: Issuer, operation: str, row: Row
) -> None:
    order = uuid.uuid4()
    await paid_by(payment, order, BUYER)
    found: Row = {}
    for caller in row:
        answers = {
            (await ask(client, token, operation, {"order_id": order}, {})).status_code
            for token in tokens(issuer, caller)
        }
        [found[caller]] = answers
    assert found == row
