"""An RDS instance for PostgreSQL is a database and an owner role on the real server."""

from __future__ import annotations

import asyncio
import json
import secrets
import ssl
from typing import Any

import asyncpg
from moto.rds.models import rds_backends

from scripts.local.cloud.table import Scope


def made(scope: Scope) -> None:
    """Create database and owner, or bring the owner's password up to date; point AWS's answers at the real server."""
    if scope["replicateSourceDb"] is not None:
        # Moto copies all of the source. RDS hands down neither its protection nor its password: the source's secret
        # would go with the first replica that goes.
        replica = rds_backends[scope.session.account][scope.region].databases[scope.id]
        replica.deletion_protection = bool(scope.get("deletionProtection"))
        replica.manage_master_user_password = False
        vars(replica).pop("master_user_secret", None)
        return
    if scope.get("manageMasterUserPassword"):
        _give_a_password(scope)
    server = scope.session.data_plane.postgres
    if server is None or not str(scope.get("engine", "")).startswith("postgres"):
        return
    user, password = _credentials(scope)
    asyncio.run(_ensure(server.admin_url, str(scope.get("dbName", user)), user, password))
    _point_at(scope, server.host, server.port)


def gone(scope: Scope) -> None:
    """Drop the database and its owner."""
    server = scope.session.data_plane.postgres
    if server is None or not str(scope.get("engine", "")).startswith("postgres"):
        return
    user = str(scope["username"])
    asyncio.run(_drop(server.admin_url, str(scope.get("dbName", user)), user))


def _give_a_password(scope: Scope) -> None:
    """RDS draws a password of its own for the master user; moto writes the same example into every secret."""
    arn = _secret_arn(scope)
    value = json.loads(scope.call("secretsmanager", "get_secret_value", SecretId=arn)["SecretString"])
    if value.get("username") != scope["username"]:
        drawn = {"username": scope["username"], "password": secrets.token_urlsafe(24)}
        scope.call("secretsmanager", "put_secret_value", SecretId=arn, SecretString=json.dumps(drawn))


def _secret_arn(scope: Scope) -> str:
    [instance] = scope.call("rds", "describe_db_instances", DBInstanceIdentifier=scope.id)["DBInstances"]
    return str(instance["MasterUserSecret"]["SecretArn"])


def _credentials(scope: Scope) -> tuple[str, str]:
    if scope.get("manageMasterUserPassword"):
        arn = _secret_arn(scope)
        secret = json.loads(scope.call("secretsmanager", "get_secret_value", SecretId=arn)["SecretString"])
        return secret["username"], secret["password"]
    return str(scope["username"]), str(scope["password"] or scope["passwordWo"])


def _point_at(scope: Scope, host: str, port: int) -> None:
    """Moto derives the address from the region: give this instance the real one, so that boto3 says it, too."""
    instance = rds_backends[scope.session.account][scope.region].databases[scope.id]
    kind = type(instance)
    if kind.__name__ != "Reachable":
        instance.__class__ = type("Reachable", (kind,), {"address": property(lambda self: self.real_address)})
    instance.real_address = host  # type: ignore[attr-defined]
    instance.port = port


async def _connect(url: str) -> Any:
    """Asyncpg looks for the authority in the user's home alone; Python's default context follows SSL_CERT_FILE."""
    plain, _, query = url.partition("?")
    context = ssl.create_default_context() if "sslmode=verify" in query else None
    return await asyncpg.connect(plain if context else url, ssl=context)


async def _ensure(admin_url: str, database: str, user: str, password: str) -> None:
    admin = await _connect(admin_url)
    try:
        exists = await admin.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", user)
        verb = "ALTER" if exists else "CREATE"
        # CREATEROLE: the master user of an RDS instance creates the services' own, lesser roles.
        await admin.execute(f"{verb} ROLE {_name(user)} WITH LOGIN CREATEROLE CREATEDB PASSWORD {_text(password)}")
        if not await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database):
            await admin.execute(f"CREATE DATABASE {_name(database)} OWNER {_name(user)}")
        # On RDS nobody but the owner may connect once the services' roles have their grants.
        await admin.execute(f"REVOKE CONNECT ON DATABASE {_name(database)} FROM PUBLIC")
    finally:
        await admin.close()


async def _drop(admin_url: str, database: str, user: str) -> None:
    admin = await _connect(admin_url)
    try:
        await admin.execute(f"DROP DATABASE IF EXISTS {_name(database)} WITH (FORCE)")
        owned = await admin.fetchval(
            "SELECT count(*) FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba WHERE r.rolname = $1", user
        )
        if not owned and await admin.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", user):
            # The services' roles that this owner made go with it, as they would with the instance.
            for role in await admin.fetch(
                "SELECT m.rolname FROM pg_auth_members a JOIN pg_roles m ON m.oid = a.roleid "
                "JOIN pg_roles o ON o.oid = a.member WHERE o.rolname = $1 AND NOT m.rolsuper AND m.rolname !~ '^pg_'",
                user,
            ):
                await admin.execute(f"DROP ROLE IF EXISTS {_name(role['rolname'])}")
            await admin.execute(f"DROP ROLE {_name(user)}")
    finally:
        await admin.close()


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _text(value: Any) -> str:
    return "'" + str(value).replace("'", "''") + "'"
