"""Deleting in the wrong order: what AWS refuses and moto allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jmespath

from scripts.local.cloud.backend import Refused
from scripts.local.cloud.table import Scope


def unless_used(what: str, service: str, method: str, path: str, **parameters: Any) -> Callable[[Scope], None]:
    """A guard: refuse while ``path`` (JMESPath, ``{id}`` is the resource's) finds users in the call's answer.

    ``parameters`` may contain ``{id}`` in strings, at any depth.
    """

    def guard(scope: Scope) -> None:
        answer = scope.call(service, method, **_filled(parameters, scope.id))
        users = jmespath.search(path.replace("{id}", scope.id), answer)
        if users:
            names = ", ".join(map(str, users[:5])) if isinstance(users, list) else str(users)
            raise Refused("", f"DependencyViolation: {scope.id} cannot be deleted while {what} uses it: {names}")

    return guard


def filtered(what: str, method: str, name: str, path: str) -> Callable[[Scope], None]:
    """A guard over an EC2 describe call with one filter."""
    return unless_used(what, "ec2", method, path, Filters=[{"Name": name, "Values": ["{id}"]}])


def _filled(value: Any, id: str) -> Any:
    if isinstance(value, str):
        return value.replace("{id}", id)
    if isinstance(value, list):
        return [_filled(item, id) for item in value]
    if isinstance(value, dict):
        return {key: _filled(item, id) for key, item in value.items()}
    return value
