"""Rotates the login of a PostgreSQL role by turns: ``booking_service`` and ``booking_service_b``.

The second role is a member of the first, so it may do exactly the same. Pods with the old login go on working until
they were restarted with the new one; only the rotation after the next changes its password. The owner, whose secret
RDS rotates itself, makes and changes the roles.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pg8000.native
from pg8000.native import identifier, literal

from components.functions import rotation
from components.functions.rotation import Secret

_CONNECT_SECONDS = 10
_AMAZON_AUTHORITIES = Path("/var/runtime/ca-cert.pem")


class PostgreSQL:
    """Roles of one database; the secret's ``owner`` is the ARN of the owner's secret."""

    def __init__(self, secrets: Any) -> None:
        self._secrets = secrets

    def following(self, current: Secret, password: str) -> Secret:
        return {**current, "username": rotation.alternate(current["username"]), "password": password}

    def grant(self, current: Secret, pending: Secret) -> None:
        first = min(current["username"], pending["username"], key=len)
        role = pending["username"]
        with self._as_owner(current) as database:
            exists = database.run("SELECT 1 FROM pg_roles WHERE rolname = :role", role=role)
            verb = "ALTER" if exists else "CREATE"
            database.run(f"{verb} ROLE {identifier(role)} LOGIN PASSWORD {literal(pending['password'])}")
            if role != first:
                database.run(f"GRANT {identifier(first)} TO {identifier(role)}")

    def try_out(self, pending: Secret) -> None:
        with connection(pending, pending["username"], pending["password"]) as database:
            database.run("SELECT 1")

    @contextmanager
    def _as_owner(self, secret: Secret) -> Iterator[pg8000.native.Connection]:
        found = self._secrets.get_secret_value(SecretId=secret["owner"])
        owner = json.loads(found["SecretString"])
        address = {**secret, "host": secret.get("instance", secret["host"])}
        with connection(address, owner["username"], owner["password"]) as database:
            yield database


def _trust() -> ssl.SSLContext:
    context = ssl.create_default_context()
    # RDS signs with an authority of its own, which Lambda keeps here (Lambda Developer Guide, "Runtimes").
    if _AMAZON_AUTHORITIES.exists():
        context.load_verify_locations(_AMAZON_AUTHORITIES)
    return context


@contextmanager
def connection(address: Secret, user: str, password: str) -> Iterator[pg8000.native.Connection]:
    """A session over TLS at ``address`` {host, port, database}, closed at the end."""
    made = pg8000.native.Connection(
        user,
        host=address["host"],
        port=int(address["port"]),
        database=address["database"],
        password=password,
        ssl_context=_trust(),
        timeout=_CONNECT_SECONDS,
    )
    try:
        yield made
    finally:
        made.close()


def handler(event: dict[str, Any], _context: object) -> None:
    """What Secrets Manager calls."""
    client = boto3.client("secretsmanager")
    rotation.rotate(event, PostgreSQL(client), client)
