"""What schemathesis asks of an API: every operation of its committed document, with values that keep it and break it.

The application is the real one behind a real server, on real databases, asked by callers of each kind. Values are the
same at every run. An id is often replaced by one that exists, so that requests come further than `not-found`.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import requests
import schemathesis
import uvicorn
from joserfc.jwk import ECKey
from schemathesis import Case, CheckContext, Response
from schemathesis.schemas import BaseSchema

from scripts.local import issuer as local_issuer
from scripts.local import processes
from scripts.local.issuer import Issuer
from scripts.openapi import FOLDER
from tests.services.authorisation import CALLERS
from tests.support.databases import Databases, Originals

EXAMPLES = 20
CONFIG = {
    "generation": {
        "mode": "all",
        "deterministic": True,
        "max-examples": EXAMPLES,
        "allow-x00": True,
        "database": "none",
        "no-shrink": True,
        # Who calls is ours to say.
        "with-security-parameters": False,
    },
    # What was answered before has new ids at every run.
    "phases": {
        "examples": {"enabled": False},
        "stateful": {"enabled": False},
        "coverage": {"extra-data-sources": {"responses": False}},
        "fuzzing": {"extra-data-sources": {"responses": False}, "error-feedback": {"enabled": False}},
    },
    # Rules between fields (either price or tiers) are not told by a schema, so what keeps it may still be refused.
    "checks": {"positive_data_acceptance": {"enabled": False}},
}
# What only our code, its libraries and its database would say.
INTERNAL = re.compile(
    r"Traceback|\.py\b|asyncpg|postgres|pydantic|starlette|fastapi|joserfc|botocore|redis|stripe\.|novu_py"
    r"|\b(?:SELECT|INSERT INTO|UPDATE \w+ SET|DELETE FROM)\b|\b[A-Z]\w+(?:Error|Exception)\b",
)
Known = Mapping[str, Sequence[str]]
Headers = Mapping[str, str]
Sign = Callable[[requests.PreparedRequest], requests.PreparedRequest]


def contract(service: str) -> BaseSchema:
    """The committed document of a service, to be parametrised over."""
    document = json.loads((FOLDER / f"{service}.json").read_text())
    return schemathesis.openapi.from_dict(document, config=schemathesis.Config.from_dict(CONFIG))


@contextmanager
def a_database(originals: Originals, service: str) -> Iterator[str]:
    """A fresh database of a service, for as long as the block runs; yields the URL of the service's role."""
    databases = Databases(originals)
    try:
        yield asyncio.run(databases.create(service))
    finally:
        asyncio.run(databases.drop())


@contextmanager
def issuing() -> Iterator[Issuer]:
    """A real issuer, asked for its keys as Keycloak is."""
    port = processes.free_port()
    issuer = Issuer(f"http://127.0.0.1:{port}", ECKey.generate_key("P-256", auto_kid=True))
    with serving(local_issuer.create_app(issuer), port):
        yield issuer


def callers(issuer: Issuer) -> Sequence[Headers]:
    """Headers of each kind of caller, also of nobody."""
    good = [issuer.token(*CALLERS[who]) for who in CALLERS]
    # Most are those whose things there are.
    often = [issuer.token(*CALLERS[who]) for who in ("buyer", "organiser") for _ in range(4)]
    return [{"Authorization": f"Bearer {token}"} for token in (*good, *often)] + [{}]


@contextmanager
def serving(app: Any, port: int) -> Iterator[str]:
    """Serve an ASGI application from a thread, lifespan included; yields its URL."""
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, timeout_graceful_shutdown=3))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the application did not start"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def ask(case: Case[Any], url: str, callers: Sequence[Headers], known: Known, sign: Sign | None = None) -> None:
    """Send ``case`` as one of ``callers`` (their headers), about what exists, and check the answer.

    ``sign`` signs two of three requests as they are sent.
    """
    chance = zlib.crc32(repr(case).encode(errors="replace"))
    case.path_parameters = existing(case.path_parameters, known, chance)
    if isinstance(case.body, dict | list):
        case.body = existing(case.body, known, chance)
    caller = callers[chance % len(callers)]
    case.call_and_validate(
        base_url=url,
        headers=dict(caller),
        additional_checks=[says_nothing_internal],
        auth=sign if chance % 3 else None,
    )


def sent(request: requests.PreparedRequest) -> bytes:
    """The body as it goes over the wire."""
    body = request.body or b""
    assert isinstance(body, bytes | str)
    return body.encode() if isinstance(body, str) else body


def existing(value: Any, known: Known, chance: int, name: str = "") -> Any:
    """``value`` with some of its ids, found by the names of their fields, replaced by known ones."""
    if isinstance(value, dict):
        return {key: existing(each, known, chance, key) for key, each in value.items()}
    if isinstance(value, list):
        return [existing(each, known, chance + place, name) for place, each in enumerate(value)]
    ids = known.get(name, ())
    # One in so many stays as it is.
    place = chance % (len(ids) + 1)
    if place == len(ids) or not isinstance(value, str) or (_is_id(ids[place]) and not _is_id(value)):
        return value
    return ids[place]


def says_nothing_internal(_: CheckContext, response: Response, case: Case[Any]) -> None:
    """A check: no answer tells what the service is made of."""
    text = response.content.decode(errors="replace")
    found = INTERNAL.search(text) if response.status_code >= 400 else None
    assert found is None, f"{case.method} {case.path} says {found.group()!r}: {text[:300]}"


def _is_id(value: str) -> bool:
    try:
        return bool(uuid.UUID(value))
    except ValueError:
        return False
