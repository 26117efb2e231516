"""An Amazon MQ broker for RabbitMQ is an administrator on the real server, whose endpoint AWS's answers then name."""

from __future__ import annotations

import os
from urllib.parse import quote

import requests
from moto.mq.models import mq_backends

from scripts.local.cloud.data_plane import RabbitMQ
from scripts.local.cloud.table import Scope

_TIMEOUT = 15


def made(scope: Scope) -> None:
    """Create or update the broker's users, with all rights on the default virtual host, as Amazon MQ does."""
    server = scope.session.data_plane.rabbitmq
    if server is None or str(scope["engineType"]).lower() != "rabbitmq":
        return
    for user in scope.inputs.get("users") or []:
        name = quote(user["username"], safe="")
        _put(server, f"users/{name}", {"password": user["password"], "tags": "administrator"})
        _put(server, f"permissions/%2F/{name}", {"configure": ".*", "write": ".*", "read": ".*"})
    broker = mq_backends[scope.session.account][scope.region].brokers[scope.id]
    for instance in broker.instances:
        instance["endpoints"] = [f"amqps://{server.host}:{server.port}"]
        instance["consoleURL"] = server.management_url
        instance["ipAddress"] = server.host


def gone(scope: Scope) -> None:
    """Delete the broker's users."""
    server = scope.session.data_plane.rabbitmq
    if server is None:
        return
    for user in scope.state.get("users") or []:
        url = f"{server.management_url}/api/users/{quote(user['username'], safe='')}"
        requests.delete(url, auth=(server.user, server.password), timeout=_TIMEOUT, verify=_authority())


def _authority() -> str | bool:
    """Requests does not follow SSL_CERT_FILE by itself."""
    return os.environ.get("SSL_CERT_FILE", True)


def _put(server: RabbitMQ, path: str, body: dict[str, str]) -> None:
    url = f"{server.management_url}/api/{path}"
    answer = requests.put(url, json=body, auth=(server.user, server.password), timeout=_TIMEOUT, verify=_authority())
    answer.raise_for_status()
