"""The real SDK against the local Stripe, and a look into the provider's own books."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest
import stripe
from fastapi import Request
from pydantic import SecretStr

from services.common.auth import Principal, principal
from services.payment.adapters.stripe import StripeProcessor
from services.payment.entrypoints.api import create_app
from services.payment.settings import ApiSettings
from tests.support.databases import Databases


@pytest.fixture
def order() -> str:
    return str(uuid.uuid4())


@pytest.fixture
def processor(stripe_server: str) -> StripeProcessor:
    return StripeProcessor("sk_test_local", stripe_server, timeout=2, pause=0.02)


@pytest.fixture
def account(stripe_server: str) -> stripe.StripeClient:
    return stripe.StripeClient("sk_test_local", base_addresses={"api": stripe_server})


def _caller(request: Request) -> Principal:
    """Who calls: the name and the roles are the Authorization header itself."""
    name, *roles = request.headers["authorization"].split()
    return Principal(name, frozenset(roles))


@pytest.fixture
async def api(payment: asyncpg.Pool, databases: Databases) -> AsyncIterator[httpx.AsyncClient]:
    """The API for callers whose tokens were verified elsewhere."""
    app = create_app(
        ApiSettings(
            database_url=SecretStr(databases.service("payment")),
            stripe_webhook_secret=SecretStr("whsec_test_secret"),
            oidc_issuer="http://127.0.0.1:1",
        )
    )
    app.dependency_overrides[principal] = _caller
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://payment") as client,
    ):
        yield client
