"""What the programs of this package share: how they read their settings, call an API, and end."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import httpx
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.common import logs
from services.common.settings import load_or_exit

log = logs.get(__name__)
SECONDS = 30.0
# A server that has just started answers with these until it is whole.
_NOT_YET = (502, 503, 504)


class Refused(RuntimeError):
    """The server does not take an item; the message names it, the server's reason, and what to do."""


class SetupSettings(BaseSettings):
    """What each program reads besides its own."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", case_sensitive=False)


S = TypeVar("S", bound=SetupSettings)


def run(name: str, cls: type[S], apply: Callable[[S], Mapping[str, int]]) -> None:
    """Apply, and end: with status 1 and a message when the server refuses or does not answer."""
    settings = load_or_exit(cls)
    logs.configure(name, "info")
    try:
        done = apply(settings)
    except (Refused, httpx.TransportError) as error:
        raise SystemExit(f"{name}: {error!r}") from error
    log.info("as described", **done)


def is_object(value: str) -> str:
    """A validator of a variable that holds a document."""
    if not isinstance(json.loads(value), dict):
        raise ValueError("must be a JSON object")
    return value


def call(
    client: httpx.Client, method: str, path: str, body: Any = None, *, missing: bool = False, **options: Any
) -> Any:
    """The decoded answer, None for an empty one; with ``missing``, None for a 404 too. Raises Refused."""
    answer = client.request(method, path, json=body, **options)
    if missing and answer.status_code == 404:
        return None
    if answer.is_error:
        hint = "it is not ready yet; try again" if answer.status_code in _NOT_YET else "correct the document"
        raise Refused(f"{method} {path}: {answer.status_code} {answer.text[:300]}; {hint}")
    return answer.json() if answer.content else None
