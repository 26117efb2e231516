"""What a simulated provider must answer, free of gRPC: plain dictionaries in, plain dictionaries out.

Property names are those of the wire (camelCase for aws). A value is None, bool, int, float, str, list, dict, an `Asset`
or an `Archive`; a value that a preview does not know yet is `UNKNOWN`, at any depth. Secrets arrive unwrapped: the
servicer tells the engine that it does not take them, so the engine keeps track of what is secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Protocol

Properties = dict[str, Any]


class Unknown(Enum):
    """The type of `UNKNOWN`; an enum, so that type checkers narrow on identity and copies stay the same object."""

    UNKNOWN = "unknown until the resource that it comes from exists"


UNKNOWN: Final = Unknown.UNKNOWN


@dataclass(frozen=True, slots=True)
class Asset:
    """A single file: exactly one of text, path, uri is set; ``hash`` is what the engine computed."""

    hash: str = ""
    text: str | None = None
    path: str | None = None
    uri: str | None = None


@dataclass(frozen=True, slots=True)
class Archive:
    """A folder of files: a path, a uri, or named parts which are assets and archives themselves."""

    hash: str = ""
    path: str | None = None
    uri: str | None = None
    parts: Mapping[str, Asset | Archive] | None = None


class Refused(Exception):
    """An input, or a whole request, that the provider does not accept; ``property`` is "" for the whole resource."""

    def __init__(self, property: str, reason: str) -> None:
        super().__init__(f"{property}: {reason}" if property else reason)
        self.property = property
        self.reason = reason


class NotFound(Exception):
    """The resource that a request names is not there (any more)."""


class PartiallyCreated(Exception):
    """The resource exists but is not as asked: the engine records ``state``, and the next update mends it."""

    def __init__(self, id: str, state: Properties, reason: str, inputs: Properties | None = None) -> None:
        super().__init__(reason)
        self.id = id
        self.state = state
        self.reason = reason
        self.inputs = inputs


class Change(Enum):
    """How one property differs; REPLACE means that the resource cannot be changed in place."""

    ADD = "add"
    UPDATE = "update"
    DELETE = "delete"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class Checked:
    """Inputs with the provider's defaults filled in, and everything that is wrong with them (empty: accepted)."""

    inputs: Properties
    refusals: Sequence[Refused] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """Property paths (``tags.owner``, ``ingress[0].fromPort``) that differ; empty means unchanged."""

    changes: Mapping[str, Change] = field(default_factory=dict)
    delete_before_replace: bool = False


@dataclass(frozen=True, slots=True)
class Created:
    """A new resource. In a preview ``id`` is "" and outputs that only the cloud can tell are UNKNOWN."""

    id: str
    state: Properties


@dataclass(frozen=True, slots=True)
class Found:
    """A resource as it is now; ``inputs`` are what a program would have to say to get it."""

    id: str
    state: Properties
    inputs: Properties


@dataclass(frozen=True, slots=True)
class Resource:
    """Whom a request is about: the engine's name for it and its type token."""

    urn: str
    type: str
    name: str


class Backend(Protocol):
    """One configured provider. Any method may raise Refused; unexpected exceptions reach the user with their text.

    Methods are called from several threads at once.
    """

    version: str

    def configured(self, config: Properties) -> Backend:
        """The backend for one provider instance; raises Refused for a setting that is wrong or unknown."""

    def check(self, resource: Resource, inputs: Properties, old: Properties, seed: bytes) -> Checked:
        """Validate ``inputs`` and fill in defaults; ``old`` are the inputs of the last update ({} when new)."""

    def diff(
        self, resource: Resource, id: str, state: Properties, old: Properties, new: Properties, ignore: Sequence[str]
    ) -> Difference:
        """Compare checked inputs ``new`` with the recorded ``state`` (outputs) and ``old`` (inputs)."""

    def create(self, resource: Resource, inputs: Properties, *, preview: bool, timeout: float) -> Created:
        """Make it. ``timeout`` is in seconds, 0 for the default. Raises PartiallyCreated when only half was made."""

    def id_ahead(self, resource: Resource, inputs: Properties) -> str:
        """The id that a create will give; "" where only the cloud knows."""

    def read(self, resource: Resource, id: str, state: Properties, inputs: Properties) -> Found:
        """The resource as it is now (``state`` and ``inputs`` are {} on import); raises NotFound when it is gone."""

    def update(
        self,
        resource: Resource,
        id: str,
        state: Properties,
        old: Properties,
        new: Properties,
        *,
        preview: bool,
        timeout: float,
        ignore: Sequence[str],
    ) -> Properties:
        """Change it in place; returns the new state."""

    def delete(self, resource: Resource, id: str, state: Properties, *, timeout: float) -> None:
        """Remove it; a resource that is already gone counts as removed."""

    def invoke(self, token: str, arguments: Properties, *, preview: bool) -> Properties:
        """Answer a function of the provider (``aws:index/getRegion:getRegion``)."""
