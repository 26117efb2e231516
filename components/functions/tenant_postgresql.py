"""A preview's database on a shared instance, made by the instance's owner, who is no superuser on RDS.

The preview's own roles make no others: before PostgreSQL 16 that right would reach everybody's. So both are made here,
and the migration, which elsewhere makes the service's role, finds it.
"""

from __future__ import annotations

from pg8000.native import Connection, identifier, literal

from components.functions.rotation import Secret
from components.functions.rotation_postgresql import connection

# The instance's connections are the environment's: a preview that does not close its own runs into this first.
_CONNECTIONS = 40


def give(administrator: Secret, database: str, owner: Secret, service: Secret) -> None:
    """A database, its owner and the service's role; what exists gets the password that its secret says."""
    with connection(administrator, administrator["username"], administrator["password"]) as server:
        for login in (owner, service):
            role = login["username"]
            verb = "ALTER" if _is(server, "pg_roles", "rolname", role) else "CREATE"
            server.run(f"{verb} ROLE {identifier(role)} LOGIN PASSWORD {literal(login['password'])}")
            # To hand the database over, and to end sessions when it goes.
            server.run(f"GRANT {identifier(role)} TO CURRENT_USER")
        if not _is(server, "pg_database", "datname", database):
            server.run(
                f"CREATE DATABASE {identifier(database)} OWNER {identifier(owner['username'])} "
                f"CONNECTION LIMIT {_CONNECTIONS}"
            )
        server.run(f"REVOKE ALL ON DATABASE {identifier(database)} FROM PUBLIC")


def give_up(administrator: Secret, database: str, *roles: str) -> None:
    """Drop the database, ending its sessions, and then ``roles``; nothing to do is fine."""
    with connection(administrator, administrator["username"], administrator["password"]) as server:
        server.run(f"DROP DATABASE IF EXISTS {identifier(database)} WITH (FORCE)")
        for role in roles:
            server.run(f"DROP ROLE IF EXISTS {identifier(role)}")


def _is(server: Connection, catalogue: str, column: str, name: str) -> bool:
    return bool(server.run(f"SELECT 1 FROM {catalogue} WHERE {column} = :name", name=name))
