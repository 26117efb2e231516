"""The recorded state of a stack, to ask questions of: its resources, what they belong to and what they need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

# How the engine marks a secret in a state (pulumi/sdk, resource.SigKey).
SIGNATURE = "4dabf18193072939515e22adb298388d"


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
    needs: frozenset[str]

    @property
    def name(self) -> str:
        return self.urn.rsplit("::", 1)[1]

    def __getitem__(self, property: str) -> Any:
        return self.inputs.get(property)


class State:
    """The resources of a deployment, as `pulumi stack export` has them below ``deployment``."""

    def __init__(self, deployment: Mapping[str, Any]) -> None:
        self.resources = [_resource(item) for item in deployment.get("resources") or []]

    @cached_property
    def by_urn(self) -> dict[str, Resource]:
        return {resource.urn: resource for resource in self.resources}

    def components(self) -> Iterator[Resource]:
        """The outermost components: what the layers of `stacks/` make."""
        for resource in self.resources:
            if resource.type.startswith("platform:") and self.component(resource) is resource:
                yield resource

    def component(self, resource: Resource) -> Resource | None:
        """The outermost component that ``resource`` belongs to; None for what belongs to the stack itself."""
        found, at = None, resource
        while True:
            if at.type.startswith("platform:"):
                found = at
            if at.parent not in self.by_urn:
                return found
            at = self.by_urn[at.parent]


def plain(value: Any) -> Any:
    """Secrets as the placeholder that they are in a state, without their envelope."""
    if isinstance(value, dict):
        if SIGNATURE in value:
            return value.get("plaintext", value.get("ciphertext", "(secret)"))
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def _resource(item: Mapping[str, Any]) -> Resource:
    properties = item.get("propertyDependencies") or {}
    return Resource(
        item["urn"],
        item["type"],
        str(item.get("id", "")),
        plain(item.get("inputs") or {}),
        plain(item.get("outputs") or {}),
        bool(item.get("protect")),
        item.get("parent", ""),
        frozenset(item.get("dependencies") or ()).union(*properties.values()),
    )
