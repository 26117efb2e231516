"""ElastiCache users are entries of the real Redis server's access-control list; a replication group answers there."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import redis
from moto.elasticache.models import elasticache_backends

from scripts.local.cloud.table import Scope


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
    """Give the user its passwords and exactly the access string that the program says."""
    admin = _admin(scope)
    if admin is None or str(scope["userName"]) == "default":
        return
    mode = scope.get("authenticationMode") or {}
    passwords = [*(scope.get("passwords") or []), *(mode.get("passwords") or [])]
    rules = str(scope["accessString"]).split()
    secrets = [f"#{hashlib.sha256(str(password).encode()).hexdigest()}" for password in passwords] or ["nopass"]
    admin.execute_command("ACL", "SETUSER", str(scope["userName"]), "reset", *rules, *secrets)


def user_gone(scope: Scope) -> None:
    """Take the user away."""
    admin = _admin(scope)
    if admin is not None and str(scope["userName"]) != "default":
        admin.execute_command("ACL", "DELUSER", str(scope["userName"]))


def _owner(group: str) -> str:
    return f"token-{group}"
