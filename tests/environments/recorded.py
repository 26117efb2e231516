"""The resources of a stack's state, to ask questions of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource as the engine recorded it; inputs as the program gave them, outputs as the cloud answered."""

    urn: str
    type: str
    id: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    protect: bool
    parent: str

    @property
    def name(self) -> str:
        return self.urn.rsplit("::", 1)[1]

    def __getitem__(self, property: str) -> Any:
        return self.inputs.get(property)


class Recorded:
    """Every custom resource of a deployment."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.resources = [
            Resource(
                item["urn"],
                item["type"],
                str(item.get("id", "")),
                plain(item.get("inputs") or {}),
                plain(item.get("outputs") or {}),
                bool(item.get("protect")),
                item.get("parent", ""),
            )
            for item in state["resources"]
        ]

    def all(self, *types: str) -> list[Resource]:
        """The resources of these type tokens; there must be one, so that no check passes on nothing."""
        found = [resource for resource in self.resources if resource.type in types]
        assert found, f"no resource is of type {', '.join(types)}"
        return found

    def kubernetes(self, *kinds: str) -> list[Resource]:
        """Kubernetes objects of these kinds."""
        found = [one for one in self.resources if one.type.startswith("kubernetes:") and one["kind"] in kinds]
        assert found, f"no object is of kind {', '.join(kinds)}"
        return found

    @cached_property
    def by_id(self) -> dict[tuple[str, str], Resource]:
        return {(one.type, one.id): one for one in self.resources}

    def statements(self) -> Iterator[tuple[Resource, dict[str, Any]]]:
        """Every statement of every policy document of a role."""
        for policy in self.all("aws:iam/rolePolicy:RolePolicy"):
            for statement in json.loads(policy["policy"])["Statement"]:
                yield policy, statement


def plain(value: Any) -> Any:
    """Secrets as the placeholder that they are in a state, without their envelope."""
    if isinstance(value, dict):
        if "4dabf18193072939515e22adb298388d" in value:
            return value.get("plaintext", value.get("ciphertext", "(secret)"))
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value
