"""Rotates a login of RabbitMQ by turns, through the management API: ``booking`` and ``booking_b``.

Amazon MQ does not change RabbitMQ's users itself (Amazon MQ API reference, "UpdateUser" is for ActiveMQ). The second
user gets the permissions that the first has. The administrator, whose own secret names no other, gives itself its next
password: nothing but this function and the set-up job logs in as it.
"""

from __future__ import annotations

import base64
import json
import ssl
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import boto3

from components.functions import rotation
from components.functions.rotation import Secret

_SECONDS = 10


class RabbitMQ:
    """Users of one broker; the secret's ``administrator`` is the ARN of the administrator's secret."""

    def __init__(self, secrets: Any) -> None:
        self._secrets = secrets

    def following(self, current: Secret, password: str) -> Secret:
        name = current["username"]
        return {**current, "username": rotation.alternate(name) if "administrator" in current else name,
                "password": password}  # fmt: skip

    def grant(self, current: Secret, pending: Secret) -> None:
        if "administrator" in current:
            self._grant_other(current, pending)
        elif not _admits(pending):
            call(current, "PUT", _user(pending), {"password": pending["password"], "tags": "administrator"})

    def _grant_other(self, current: Secret, pending: Secret) -> None:
        found = self._secrets.get_secret_value(SecretId=current["administrator"])
        administrator = {**current, **_login(json.loads(found["SecretString"]))}
        call(administrator, "PUT", _user(pending), {"password": pending["password"], "tags": ""})
        for permission in call(administrator, "GET", f"{_user(current)}/permissions"):
            rights = {key: permission[key] for key in ("configure", "write", "read")}
            path = f"permissions/{quote(permission['vhost'], safe='')}/{quote(pending['username'], safe='')}"
            call(administrator, "PUT", path, rights)

    def try_out(self, pending: Secret) -> None:
        if not _admits(pending):
            raise rotation.NotRotatable(f"the broker does not let {pending['username']} in with the new password")


def _login(secret: Secret) -> Secret:
    return {"username": secret["username"], "password": secret["password"]}


def _user(secret: Secret) -> str:
    return f"users/{quote(secret['username'], safe='')}"


def _admits(secret: Secret) -> bool:
    """Whether the login works. A user without a tag may not use the API: it is told so, which proves the password."""
    try:
        call(secret, "GET", "whoami")
    except HTTPError as error:
        return error.code == 401 and "management user" in error.read().decode(errors="replace").lower()
    return True


def call(secret: Secret, method: str, path: str, body: Any = None) -> Any:
    """The management API's answer to the login in ``secret`` {username, password, management}. Raises HTTPError."""
    token = base64.b64encode(f"{secret['username']}:{secret['password']}".encode()).decode()
    request = Request(
        f"{secret['management']}/api/{path}",
        method=method,
        data=json.dumps(body).encode() if body is not None else None,
        headers={"Authorization": f"Basic {token}", "Content-Type": "application/json"},
    )
    trust = ssl.create_default_context()
    with urlopen(request, context=trust, timeout=_SECONDS) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def handler(event: dict[str, Any], _context: object) -> None:
    """What Secrets Manager calls."""
    client = boto3.client("secretsmanager")
    rotation.rotate(event, RabbitMQ(client), client)
