"""`python -m services.common.topology`: bring the broker to what BROKER_TOPOLOGY describes; safe to repeat.

The document has the form of RabbitMQ's own definitions; the users come from the environment, because their passwords
are secrets. Each item is put by name: what exists as described stays as it is, what is not described is left alone.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.common import logs
from services.common.settings import load_or_exit

log = logs.get(__name__)
_SECONDS = 15.0


class Refused(RuntimeError):
    """The broker does not take an item; the message names it and gives the broker's reason."""


class TopologySettings(BaseSettings):
    """What the job reads: the broker's management API, its administrator, the document and the services' logins."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", case_sensitive=False)

    broker_management_url: str = Field(pattern="^https://")
    broker_administrator: str = Field(min_length=1)
    broker_password: SecretStr
    broker_topology: str
    broker_users: SecretStr
    """JSON: user of the document → {username, password}: logins take turns, and this is the one in use."""

    @field_validator("broker_topology")
    @classmethod
    def _is_json(cls, value: str) -> str:
        if not isinstance(json.loads(value), dict):
            raise ValueError("must be a JSON object in the form of RabbitMQ's definitions")
        return value


def apply(settings: TopologySettings) -> int:
    """Put every item in order; returns how many. Raises Refused, and httpx.TransportError when nobody answers."""
    topology: dict[str, Any] = json.loads(settings.broker_topology)
    users: dict[str, dict[str, str]] = json.loads(settings.broker_users.get_secret_value())
    auth = (settings.broker_administrator, settings.broker_password.get_secret_value())
    done = 0
    with httpx.Client(
        base_url=f"{settings.broker_management_url}/api/",
        auth=auth,
        timeout=_SECONDS,
        verify=ssl.create_default_context(),
    ) as client:
        for method, path, body in _requests(topology, users, auth[0]):
            answer = client.request(method, path, json=body)
            if answer.is_error:
                raise Refused(f"{path}: {answer.status_code} {answer.text[:200]}; the broker has another one already?")
            done += 1
    return done


def _requests(
    topology: Mapping[str, Any], users: Mapping[str, Mapping[str, str]], administrator: str
) -> Iterator[tuple[str, str, Any]]:
    for host in topology["vhosts"]:
        yield "PUT", f"vhosts/{_quoted(host['name'])}", _without(host, "name")
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        yield "PUT", f"permissions/{_quoted(host['name'])}/{_quoted(administrator)}", everything
    for login in users.values():
        yield "PUT", f"users/{_quoted(login['username'])}", {"password": login["password"], "tags": ""}
    for rights in topology["permissions"]:
        path = f"permissions/{_quoted(rights['vhost'])}/{_quoted(users[rights['user']]['username'])}"
        yield "PUT", path, _without(rights, "user", "vhost")
    # A policy comes before its queue, so that the queue is never without its limits.
    for kind, items in (("policies", topology["policies"]), ("exchanges", topology["exchanges"])):
        for item in items:
            yield "PUT", f"{kind}/{_quoted(item['vhost'])}/{_quoted(item['name'])}", _without(item, "name", "vhost")
    for queue in topology["queues"]:
        yield "PUT", f"queues/{_quoted(queue['vhost'])}/{_quoted(queue['name'])}", _without(queue, "name", "vhost")
    for binding in topology["bindings"]:
        ends = f"e/{_quoted(binding['source'])}/q/{_quoted(binding['destination'])}"
        body = {"routing_key": binding["routing_key"], "arguments": binding["arguments"]}
        yield "POST", f"bindings/{_quoted(binding['vhost'])}/{ends}", body


def _quoted(name: str) -> str:
    return quote(name, safe="")


def _without(item: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key not in keys}


def main() -> None:
    """Apply the document, or end with a message and status 1."""
    settings = load_or_exit(TopologySettings)
    logs.configure("topology", "info")
    try:
        done = apply(settings)
    except (Refused, httpx.TransportError) as error:
        raise SystemExit(f"topology: {error!r}") from error
    log.info("the broker is as described", items=done)


if __name__ == "__main__":
    main()
