"""The booking API keeps its committed contract, whoever asks and whatever is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from pydantic import SecretStr
from schemathesis import Case

from scripts.local import processes
from scripts.local.servers.redis import Redis
from services.booking.entrypoints.api import create_app
from services.booking.settings import ApiSettings
from services.booking.ticket_codes import Signer
from services.common import database
from tests.services.authorisation import BUYER
from tests.services.booking import world
from tests.services.fuzzing import Headers, Known, a_database, ask, callers, contract, issuing, serving
from tests.support.databases import Originals

schema = contract("booking")
Api = tuple[str, Sequence[Headers], str, Signer]


@pytest.fixture(scope="module")
def api(
    originals: Originals,
    redis_server: Redis,
    aws_server: str,
    settings: ApiSettings,
    signer: Signer,
) -> Iterator[Api]:
    """The application: its URL, its callers, its database, its signer."""
    with a_database(originals, "booking") as url, issuing() as issuer:
        app = create_app(
            settings.model_copy(
                update={
                    "database_url": SecretStr(url),
                    "redis_url": SecretStr(redis_server.url()),
                    "oidc_issuer": issuer.url,
                }
            )
        )
        with serving(app, processes.free_port()) as address:
            yield address, callers(issuer), url, signer


@pytest.fixture
def known(api: Api) -> Known:
    """What exists, and is as it was before another operation was asked for."""
    _, _, url, signer = api

    async def made() -> Known:
        async with database.pool(url) as pool:
            it = await world.make(pool, signer, BUYER)
        types = [it.ticket_type, it.seated_type, it.sold_out_type]
        return {
            **by_names("event_id eventId", it.event, it.event, it.room, it.queue),
            **by_names("pool_id poolId", it.pool, it.hall),
            **by_names("hold_id holdId", it.hold),
            **by_names("order_id", it.order),
            **by_names("ticket_id ticketIds", it.ticket),
            **by_names("entry_id", it.entry),
            **by_names("ticketTypeId", *types),
            **by_names("venueId", it.venue),
            **by_names("buyer_id", BUYER, "nobody-1"),
            **by_names("seats", it.seat),
            **by_names("code", it.code),
            **by_names("secret", it.secret),
            **by_names("voucher", world.VOUCHER),
        }

    return asyncio.run(made())


def by_names(names: str, *values: object) -> Known:
    return {name: [str(value) for value in values] for name in names.split()}


# What an operation is asked about is made once for all that it is asked.
@schema.parametrize()
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_request_gets_an_answer_that_is_not_documented(case: Case[Any], api: Api, known: Known) -> None:
    url, known_callers, *_ = api
    ask(case, url, known_callers, known)
