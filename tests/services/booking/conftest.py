"""Booking's API over HTTP in this process, an issuer whose tokens it takes, and a Redis."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import asyncpg
import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fastapi import FastAPI
from pydantic import SecretStr

from scripts.local.issuer import Issuer
from scripts.local.servers.redis import Redis
from services.booking.adapters.admission import WaitingRoom, connect
from services.booking.adapters.allocator import Allocator
from services.booking.entrypoints.api import create_app
from services.booking.entrypoints.wiring import Services
from services.booking.settings import ApiSettings
from services.booking.ticket_codes import Signer
from services.common import aws
from services.common.executions import ExecutionReader
from tests.services.authorisation import asked
from tests.services.conftest import ISSUER
from tests.services.samples import ORGANISER

Headers = dict[str, str]
As = Callable[..., Headers]


@pytest.fixture
def as_user(issuer: Issuer) -> As:
    def headers(subject: str, *roles: str, key: str = "") -> Headers:
        return {
            "Authorization": f"Bearer {issuer.token(subject, *roles)}",
            "Idempotency-Key": key or f"key-{uuid.uuid4()}",
        }

    return headers


@pytest.fixture(scope="session")
def settings(signer: Signer) -> ApiSettings:
    pem = signer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return ApiSettings(
        database_url=SecretStr("postgresql://nobody@127.0.0.1:1/none"),
        aws_region="eu-west-3",
        saga_state_machine_arn="arn:aws:states:eu-west-3:123456789012:stateMachine:order-saga",
        ticket_signing_key=SecretStr(pem),
        oidc_issuer=ISSUER,
    )


@pytest.fixture(scope="session")
def app(settings: ApiSettings, aws_server: str) -> tuple[FastAPI, ExecutionReader]:
    """The application and its slowest part, made once: what belongs to a test is wired by `api`."""
    executions = ExecutionReader(
        aws.step_functions(settings.aws_region), settings.saga_state_machine_arn, aws.Threads(8)
    )
    return create_app(settings), executions


@pytest.fixture
async def api(
    app: tuple[FastAPI, ExecutionReader],
    booking: asyncpg.Pool,
    settings: ApiSettings,
    signer: Signer,
    issuer: Issuer,
    redis_server: Redis,
) -> AsyncIterator[httpx.AsyncClient]:
    made, executions = app
    cache = connect(redis_server.url())
    made.state.services = Services(
        pool=booking,
        allocator=Allocator(booking),
        waiting_room=WaitingRoom(booking, cache, b"a secret of the tests, 32 bytes.."),
        signer=signer,
        executions=executions,
    )
    async with asked(made, settings, issuer) as client:
        yield client
    await cache.aclose()


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a token; each POST has a key of its own unless one is given."""

    api: httpx.AsyncClient
    as_user: As
    subject: str
    roles: tuple[str, ...]

    async def get(self, path: str, **query: object) -> httpx.Response:
        params = {name: str(value) for name, value in query.items()}
        return await self.api.get(path, params=params, headers=self.as_user(self.subject, *self.roles))

    async def post(self, path: str, body: object = None, *, key: str = "", admission: str = "") -> httpx.Response:
        headers = self.as_user(self.subject, *self.roles, key=key) | ({"Admission": admission} if admission else {})
        return await self.api.post(path, json=body, headers=headers)

    async def delete(self, path: str) -> httpx.Response:
        return await self.api.delete(path, headers=self.as_user(self.subject, *self.roles))

    async def create(self, path: str, body: object) -> str:
        """POST what must be created; returns its id."""
        answer = await self.post(path, body)
        assert answer.status_code == 201, answer.text
        made: str = answer.json()["id"]
        return made


People = Callable[..., Person]


@pytest.fixture
def person(api: httpx.AsyncClient, as_user: As) -> People:
    return lambda subject, *roles: Person(api, as_user, subject, roles)


@pytest.fixture
def organiser(person: People) -> Person:
    return person(ORGANISER, "organiser")


@pytest.fixture
def buyer(person: People) -> Person:
    return person("buyer-1", "attendee")
