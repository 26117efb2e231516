"""Gives a preview its part of what it shares: databases, a virtual host; and takes it back when the preview goes.

The stores have private addresses, and their administrators' logins are for nobody but this function. A preview's stack
calls it with the preview's name when it is made, changed and destroyed. It derives every name from that one, so what it
can touch begins with the preview's prefix, whatever it is asked. Each step is safe to repeat; what fails is raised, and
the stack keeps what it knows until it is asked again.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

import boto3

from components.functions import tenant_postgresql, tenant_rabbitmq, tenant_valkey
from components.functions.rotation import Secret
from components.preview_names import Names

log = logging.getLogger()
log.setLevel(logging.INFO)
Read = Callable[[str], Secret]


def handler(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """What a preview's stack calls: {preview, topology, tf: {action}} (Terraform's CRUD life cycle, as in Pulumi).

    Raises ValueError for a name that no preview can have and for an unknown action.
    """
    names, action = Names(event["preview"]), event["tf"]["action"]
    if action not in ("create", "update", "delete"):
        raise ValueError(f"action is {action!r}; a life cycle has create, update and delete")
    client = boto3.client("secretsmanager")

    def read(secret: str) -> Secret:
        found: Secret = json.loads(client.get_secret_value(SecretId=secret)["SecretString"])
        return found

    done = _give_up(names, read) if action == "delete" else _give(names, event["topology"], read)
    log.info("%s %s: %s", action, names.preview, done)
    return done


def _give(names: Names, topology: Mapping[str, Any], read: Read) -> dict[str, Any]:
    def own(name: str, username: str) -> Secret:
        login = read(names.secret(os.environ["ENVIRONMENT"], name))
        if login["username"] != username:
            raise ValueError(f"{name} of {names.preview} is the login {login['username']!r}; its own is {username!r}")
        return login

    databases = _databases()
    for service, shared in databases.items():
        tenant_postgresql.give(
            _administrator(read, shared),
            names.database(service),
            own(f"{service}-database-owner", names.owner(service)),
            own(f"{service}-database", names.role(service)),
        )
    users = {service: own(f"broker-{service}", names.user(service)) for service in databases}
    tenant_rabbitmq.give(read(os.environ["BROKER"]), names, users, topology)
    return {"databases": [names.database(service) for service in databases], "virtual_host": names.virtual_host}


def _give_up(names: Names, read: Read) -> dict[str, Any]:
    databases = _databases()
    for service, shared in databases.items():
        tenant_postgresql.give_up(
            _administrator(read, shared), names.database(service), names.role(service), names.owner(service)
        )
    tenant_rabbitmq.give_up(read(os.environ["BROKER"]), names, list(databases))
    return {"keys": tenant_valkey.give_up(read(os.environ["CACHE"]), names.cache_prefix)}


def _databases() -> dict[str, str]:
    """Service → the secret of its login, which says where its instance is and who owns that."""
    found: dict[str, str] = json.loads(os.environ["DATABASES"])
    return found


def _administrator(read: Read, secret: str) -> Secret:
    address = read(secret)
    login = read(address["owner"])
    return {**address, "host": address.get("instance", address["host"]), **login}
