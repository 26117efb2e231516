"""Checks of a stack as a whole: what must stand beside a resource, and what an environment must have.

What is not known yet counts as fulfilled: the update, which knows it, decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pulumi_policy import PolicyResource
from pulumi_policy.proxy import UnknownValueError

from policies.checks import Check, first

Resources = Sequence[PolicyResource]


def known(resource: PolicyResource, path: str, unknown: Any = None) -> Any:
    """The value at ``path``; ``unknown`` where the plan does not know it yet."""
    try:
        return first(resource.props, path)
    except UnknownValueError:
        return unknown


def fulfils(resource: PolicyResource, checks: Iterable[Check]) -> bool:
    """Whether each of ``checks`` holds, as far as is known."""
    try:
        return all(check(resource.props) is None for check in checks)
    except UnknownValueError:
        return True


def of(resources: Resources, *kinds: str) -> list[PolicyResource]:
    """Those of ``kinds``."""
    return [one for one in resources if one.resource_type in kinds]


def linked(resource: PolicyResource, key: str) -> list[PolicyResource]:
    """What the property ``key`` was taken from."""
    return resource.property_dependencies.get(key, [])


@dataclass(frozen=True, kw_only=True)
class Companion:
    """Each resource of ``of`` is what ``link`` of one of ``by`` names, and that one fulfils ``checks``."""

    of: tuple[str, ...]
    by: tuple[str, ...]
    link: str
    says: str
    checks: tuple[Check, ...] = ()
    # Which of them need none.
    spare: Callable[[PolicyResource], bool] = lambda _: False

    @property
    def types(self) -> tuple[str, ...]:
        return (*self.of, *self.by)

    def __call__(self, resources: Resources) -> Mapping[str, str]:
        held = {
            named.urn
            for one in of(resources, *self.by)
            if fulfils(one, self.checks)
            for named in linked(one, self.link)
        }
        return {
            one.urn: f"{one.name}: {self.says}"
            for one in of(resources, *self.of)
            if one.urn not in held and not self.spare(one)
        }


@dataclass(frozen=True, kw_only=True)
class Exists:
    """Where there is one of ``beside``, there is one of ``of`` that fulfils ``checks``."""

    beside: tuple[str, ...]
    of: tuple[str, ...]
    says: str
    checks: tuple[Check, ...] = ()

    @property
    def types(self) -> tuple[str, ...]:
        return (*self.beside, *self.of)

    def __call__(self, resources: Resources) -> Mapping[str, str]:
        anchors = of(resources, *self.beside)
        if not anchors or any(fulfils(one, self.checks) for one in of(resources, *self.of)):
            return {}
        return {anchors[0].urn: f"{anchors[0].name}: {self.says}"}
