"""The tables of docs/api.md, and what asks an API as each of their callers."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI
from joserfc.jwk import ECKey

from scripts.deployment import ROOT
from scripts.local import issuer as local_issuer
from scripts.local.issuer import Issuer
from services.common.auth import Authenticator
from services.common.settings import AuthSettings
from tests.services.samples import ORGANISER

BUYER = "buyer-1"
NOBODY = "no token"
# Subject and role of each caller with a good token.
CALLERS = {
    "buyer": (BUYER, "attendee"),
    "another buyer": ("buyer-2", "attendee"),
    "organiser": (ORGANISER, "organiser"),
    "another organiser": ("organiser-2", "organiser"),
    "platform": ("operator-1", "platform"),
}
Row = dict[str, int]


def table(service: str) -> dict[str, Row]:
    """Operation → caller → status."""
    text = (ROOT / "docs" / "api.md").read_text()
    section = re.split(r"^##+ ", text.split(f"### {service}\n")[1], flags=re.MULTILINE)[0]
    head, _, *rows = [
        [cell.strip(" `") for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if line.startswith("|")
    ]
    return {operation: dict(zip(head[1:], map(int, cells), strict=True)) for operation, *cells in rows}


def tokens(issuer: Issuer, caller: str) -> Iterator[str | None]:
    """Every bearer token with which ``caller`` may come."""
    if caller != NOBODY:
        yield issuer.token(*CALLERS[caller])
        return
    subject, role = BUYER, "platform"
    yield from (None, "rubbish", "é")
    yield issuer.token(subject, role, lifetime=-3_600)
    yield issuer.token(subject, role, aud="another-platform")
    yield issuer.token(subject, role, iss="https://somebody.example")
    yield Issuer(issuer.url, ECKey.generate_key("P-256", auto_kid=True)).token(subject, role)


async def ask(
    client: httpx.AsyncClient, token: str | None, operation: str, path: Mapping[str, object], body: object
) -> httpx.Response:
    """Carry out ``operation`` (method and template of its path) with ``token``."""
    method, template = operation.split()
    headers = [(b"Idempotency-Key", f"key-{uuid.uuid4()}".encode())]
    if token is not None:
        headers.append((b"Authorization", f"Bearer {token}".encode("latin-1")))
    return await client.request(method, template.format(**path), headers=headers, json=body)


@asynccontextmanager
async def asked(app: FastAPI, settings: AuthSettings, issuer: Issuer) -> AsyncIterator[httpx.AsyncClient]:
    """A client of ``app``, which takes the tokens of ``issuer``."""
    keys = httpx.ASGITransport(local_issuer.create_app(issuer))
    async with (
        httpx.AsyncClient(transport=keys) as to_issuer,
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client,
    ):
        app.state.authenticator = Authenticator(settings, to_issuer)
        yield client
