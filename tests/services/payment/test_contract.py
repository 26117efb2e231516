"""The payment API keeps its committed contract, whoever asks and whatever is sent."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import requests
from pydantic import SecretStr
from schemathesis import Case

from scripts.local import processes
from scripts.local.stripe.webhooks import signature
from services.common import database
from services.payment.entrypoints.api import create_app
from services.payment.settings import ApiSettings
from tests.services.authorisation import BUYER
from tests.services.fuzzing import Headers, Known, a_database, ask, callers, contract, issuing, sent, serving
from tests.services.payment.support import paid_by
from tests.support.databases import Originals

SECRET = "whsec_test_secret"
schema = contract("payment")


@pytest.fixture(scope="module")
def api(originals: Originals) -> Iterator[tuple[str, Sequence[Headers], Known]]:
    """The application on a database with a payment and a payout: its URL, its callers, what it knows."""
    order = uuid.uuid4()
    with a_database(originals, "payment") as url, issuing() as issuer:
        asyncio.run(_fill(url, order))
        app = create_app(
            ApiSettings(database_url=SecretStr(url), stripe_webhook_secret=SecretStr(SECRET), oidc_issuer=issuer.url)
        )
        with serving(app, processes.free_port()) as address:
            yield address, callers(issuer), {"order_id": [str(order)]}


async def _fill(url: str, order: uuid.UUID) -> None:
    async with database.pool(url) as pool:
        await paid_by(pool, order, BUYER)
        await pool.execute(
            """INSERT INTO payouts (id, kind, amount, currency, status, destination, created_at)
               VALUES ('tr_1', 'transfer', 4000, 'eur', 'paid', 'acct_1', now())"""
        )


def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Sign as Stripe does, what is not sent without a signature on purpose."""
    if "Stripe-Signature" in request.headers:
        request.headers["Stripe-Signature"] = signature(sent(request), SECRET, int(time.time()))
    return request


@schema.parametrize()
def test_no_request_gets_an_answer_that_is_not_documented(
    case: Case[Any], api: tuple[str, Sequence[Headers], Known]
) -> None:
    ask(case, *api, sign)
