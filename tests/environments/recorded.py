"""The resources of a stack's state, to ask questions of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from scripts.state import Resource, State


class Recorded(State):
    """Every resource of a deployment; what is asked for must be there, so that no check passes on nothing."""

    def all(self, *types: str) -> list[Resource]:
        """The resources of these type tokens; there must be one."""
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
