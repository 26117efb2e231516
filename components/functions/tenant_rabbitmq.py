"""A preview's part of the broker: a virtual host with the topology of any other, and a login for each service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote

from components.functions.rotation import Secret
from components.functions.rotation_rabbitmq import call
from components.preview_names import Names

_EVERYTHING = {"configure": ".*", "write": ".*", "read": ".*"}
_KINDS = ("policies", "exchanges", "queues", "bindings")


def give(administrator: Secret, names: Names, users: Mapping[str, Secret], topology: Mapping[str, Any]) -> None:
    """Make host, logins and everything that ``topology`` names. Raises ValueError when it names another host."""
    host = names.virtual_host
    strangers = {one["vhost"] for kind in (*_KINDS, "permissions") for one in topology[kind]} - {host}
    if strangers:
        raise ValueError(f"the topology is of {', '.join(sorted(strangers))}; that of {names.preview} is of {host}")
    call(administrator, "PUT", f"vhosts/{_quoted(host)}", {"default_queue_type": "quorum"})
    call(administrator, "PUT", f"permissions/{_quoted(host)}/{_quoted(administrator['username'])}", _EVERYTHING)
    call(administrator, "POST", f"definitions/{_quoted(host)}", {kind: topology[kind] for kind in _KINDS})
    for login in users.values():
        call(administrator, "PUT", f"users/{_quoted(login['username'])}", {"password": login["password"], "tags": ""})
    for rights in topology["permissions"]:
        path = f"permissions/{_quoted(host)}/{_quoted(names.user(rights['user']))}"
        call(administrator, "PUT", path, {key: rights[key] for key in _EVERYTHING})


def give_up(administrator: Secret, names: Names, services: Sequence[str]) -> None:
    """Delete the host with all its messages, and the logins; nothing to do is fine."""
    for path in (f"vhosts/{_quoted(names.virtual_host)}", *(f"users/{_quoted(names.user(each))}" for each in services)):
        try:
            call(administrator, "DELETE", path)
        except HTTPError as error:
            if error.code != 404:
                raise


def _quoted(name: str) -> str:
    return quote(name, safe="")
