"""Rotates the password of an ElastiCache user: it has two at a time, so the old one works until the next rotation.

ElastiCache allows two passwords for each user (ElastiCache User Guide, "Role-Based Access Control").
"""

from __future__ import annotations

import socket
import ssl
import time
from typing import Any

import boto3

from components.functions import rotation
from components.functions.rotation import Secret

_SECONDS = 10
# Seconds that ElastiCache may take to bring a changed user to every node.
_MODIFYING_SECONDS, _EVERY = 240, 2.0


class Valkey:
    """One user of one cache; the secret's ``user_id`` is ElastiCache's name for it."""

    def __init__(self, elasticache: Any) -> None:
        self._elasticache = elasticache

    def following(self, current: Secret, password: str) -> Secret:
        return {**current, "password": password}

    def grant(self, current: Secret, pending: Secret) -> None:
        self._await_active(pending["user_id"])
        self._elasticache.modify_user(
            UserId=pending["user_id"],
            AuthenticationMode={"Type": "password", "Passwords": [pending["password"], current["password"]]},
        )
        self._await_active(pending["user_id"])

    def _await_active(self, user_id: str) -> None:
        deadline = time.monotonic() + _MODIFYING_SECONDS
        while (status := self._elasticache.describe_users(UserId=user_id)["Users"][0]["Status"]) != "active":
            if time.monotonic() > deadline:
                raise TimeoutError(f"user {user_id} is {status} after {_MODIFYING_SECONDS} s, it must become active")
            # ElastiCache has no waiter for users: their status is asked for until it is right.
            time.sleep(_EVERY)

    def try_out(self, pending: Secret) -> None:
        words = ("AUTH", pending["username"], pending["password"])
        command = f"*{len(words)}\r\n" + "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
        trust = ssl.create_default_context()
        with (
            socket.create_connection((pending["host"], int(pending["port"])), timeout=_SECONDS) as plain,
            trust.wrap_socket(plain, server_hostname=pending["host"]) as connection,
        ):
            connection.sendall(command.encode())
            answer = connection.recv(512).decode(errors="replace").strip()
        if answer != "+OK":
            raise rotation.NotRotatable(f"the cache answers the new login of {pending['username']} with {answer!r}")


def handler(event: dict[str, Any], _context: object) -> None:
    """What Secrets Manager calls."""
    client = boto3.client("secretsmanager")
    rotation.rotate(event, Valkey(boto3.client("elasticache")), client)
