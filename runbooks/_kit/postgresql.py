"""A service's database, as the login that the service itself uses: TLS verified, at the instance, with a time limit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pg8000.exceptions
import pg8000.native

from runbooks._kit.model import Refused
from runbooks._kit.target import Target

_CONNECT_SECONDS = 10
_STATEMENT_MILLISECONDS = 15_000
# It takes a number of a transaction, which only one that may write gets.
_PROBE = "SELECT pg_current_xact_id()::text AS written"

# What a server raises that is away, or does not let one in.
AWAY = (pg8000.exceptions.Error, OSError)

Row = dict[str, Any]


class Database:
    """A connection. Statements take named parameters (``:name``); each is a transaction of its own."""

    def __init__(self, connection: pg8000.native.Connection) -> None:
        self._connection = connection

    def rows(self, statement: str, **parameters: Any) -> list[Row]:
        """Run ``statement``; returns its rows by the names of their columns."""
        found = self._connection.run(statement, **parameters) or []
        names = [column["name"] for column in self._connection.columns or ()]
        return [dict(zip(names, row, strict=True)) for row in found]


@contextmanager
def connected(target: Target, service: str, *, stage: str = "AWSCURRENT", at: str = "") -> Iterator[Database]:
    """Connect to the database of ``service``. Raises Refused for one that there is not, and what the server raises.

    At the instance, not at a proxy, which would show and end its own connections; ``at`` is another instance's address.
    """
    login = _login(target, service, stage)
    with _session(target, {**login, "instance": at} if at else login) as database:
        yield database


@contextmanager
def as_master(target: Target, service: str, secret_arn: str) -> Iterator[Database]:
    """The same as the instance's master user, whose secret RDS keeps. Raises what Secrets Manager answers: the incident
    role may not read it, so this takes an administrator's session.
    """
    master = target.secret(secret_arn)
    where = _login(target, service, "AWSCURRENT")
    with _session(target, {**where, "username": master["username"], "password": master["password"]}) as database:
        yield database


def refusal_to_write(target: Target, service: str) -> str:
    """What keeps the service's own login from writing; empty when nothing does."""
    try:
        with connected(target, service) as database:
            database.rows(_PROBE)
    except AWAY as error:
        return f"{type(error).__name__}: {error}"
    return ""


def revision(target: Target, service: str) -> str:
    """The newest migration that the database of ``service`` has. Raises what the server raises."""
    with connected(target, service) as database:
        [row] = database.rows("SELECT version_num FROM alembic_version")
    return str(row["version_num"])


def _login(target: Target, service: str, stage: str) -> dict[str, str]:
    secrets = target.operations.database_secret_arns
    if service not in secrets:
        raise Refused(f"there is no database {service!r}; databases are {', '.join(sorted(secrets))}")
    return target.secret(secrets[service], stage)


@contextmanager
def _session(target: Target, login: Mapping[str, str]) -> Iterator[Database]:
    connection = pg8000.native.Connection(
        login["username"],
        host=login.get("instance", login["host"]),
        port=int(login["port"]),
        database=login["database"],
        password=login["password"],
        ssl_context=target.trust,
        timeout=_CONNECT_SECONDS,
        application_name="runbook",
    )
    try:
        connection.run(f"SET statement_timeout = {_STATEMENT_MILLISECONDS}")
        yield Database(connection)
    finally:
        connection.close()


@contextmanager
def logins(target: Target, service: str) -> Iterator[list[Database]]:
    """A connection for each login in use: logins take turns, and pods may still have the one before."""
    with ExitStack() as stack:
        found = [stack.enter_context(connected(target, service))]
        with suppress(target.client("secretsmanager").exceptions.ResourceNotFoundException):
            found.append(stack.enter_context(connected(target, service, stage="AWSPREVIOUS")))
        yield found
