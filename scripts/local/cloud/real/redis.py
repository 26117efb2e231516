"""ElastiCache users are entries of the real Redis server's access-control list; a replication group answers there."""

from __future__ import annotations

import hashlib
import os
import threading
from typing import Any

import redis
from moto.elasticache.models import elasticache_backends

from scripts.local.cloud.backend import Properties
from scripts.local.cloud.table import Scope

# An entry is read and written again, and the engine makes the users of two caches at once.
_ONE_AT_A_TIME = threading.Lock()


def _admin(scope: Scope) -> Any:
    server = scope.session.data_plane.redis
    if server is None:
        return None
    # redis-py does not follow SSL_CERT_FILE by itself.
    secure = {"ssl_ca_certs": os.environ.get("SSL_CERT_FILE")} if server.admin_url.startswith("rediss") else {}
    return redis.Redis.from_url(server.admin_url, **secure)


def group_made(scope: Scope) -> None:
    """Let a client with the group's auth token in as the default user; point AWS's answers at the real server."""
    admin = _admin(scope)
    if admin is None:
        return
    if token := scope["authToken"]:
        admin.execute_command("ACL", "SETUSER", _owner(scope.id), "on", "resetpass", f">{token}", "~*", "&*", "+@all")
    server = scope.session.data_plane.redis
    assert server is not None
    group = elasticache_backends[scope.session.account][scope.region].replication_groups[scope.id]
    group.port = server.port
    for node_group in group.node_groups:
        for kind in ("primary", "reader"):
            node_group[f"{kind}_endpoint_address"] = server.host
            node_group[f"{kind}_endpoint"] = {"address": server.host, "port": server.port}
        node_group["port"] = server.port


def group_gone(scope: Scope) -> None:
    """Take the group's own user away."""
    if (admin := _admin(scope)) is not None:
        admin.execute_command("ACL", "DELUSER", _owner(scope.id))


def user_made(scope: Scope) -> None:
    """Give the user its passwords and exactly the access string that the program says.

    Users of several caches may have one name; on the one server here they are one, with the passwords of all.
    """
    admin = _admin(scope)
    name = str(scope["userName"])
    if admin is None or name == "default":
        return
    ours = _hashes(scope.inputs)
    with _ONE_AT_A_TIME:
        others = _known(admin, name) - _hashes(scope.old) - ours
        secrets = [f"#{each}" for each in sorted(ours | others)] or ["nopass"]
        admin.execute_command("ACL", "SETUSER", name, "reset", *str(scope["accessString"]).split(), *secrets)


def user_gone(scope: Scope) -> None:
    """Take the user away, or from one that others share its passwords."""
    admin = _admin(scope)
    name = str(scope["userName"])
    if admin is None or name == "default":
        return
    ours = _hashes(scope.inputs)
    with _ONE_AT_A_TIME:
        known = _known(admin, name)
        if known - ours:
            admin.execute_command("ACL", "SETUSER", name, *(f"!{each}" for each in sorted(known & ours)))
        else:
            admin.execute_command("ACL", "DELUSER", name)


def _hashes(user: Properties) -> set[str]:
    mode = user.get("authenticationMode") or {}
    passwords = [*(user.get("passwords") or []), *(mode.get("passwords") or [])]
    return {hashlib.sha256(str(password).encode()).hexdigest() for password in passwords}


def _known(admin: Any, name: str) -> set[str]:
    """Hashes of the passwords that the server has for the user."""
    found = admin.execute_command("ACL", "GETUSER", name)
    if not found:
        return set()
    fields = found if isinstance(found, dict) else dict(zip(found[::2], found[1::2], strict=True))
    passwords = fields.get("passwords") or fields.get(b"passwords") or []
    return {each.decode() if isinstance(each, bytes) else str(each) for each in passwords}


def _owner(group: str) -> str:
    return f"token-{group}"
