"""The form of the tables in `services/`: how a Pulumi type becomes AWS calls.

A parameter is filled, in this order, from the call's own ``params``, then (``auto``) from the inputs whose names
match. A
source in ``params`` is a property name, looked up in the inputs and outputs (``id`` is the physical id), a list of
such names, a `Literal`, or a function of the `Scope`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scripts.local.cloud.backend import UNKNOWN, Properties

if TYPE_CHECKING:
    from scripts.local.cloud.session import Session


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant parameter."""

    value: Any


@dataclass(slots=True)
class Scope:
    """What a row's functions see: the session, the inputs, the recorded outputs and (on update) the old inputs."""

    session: Session
    region: str
    inputs: Properties
    state: Properties = field(default_factory=dict)
    old: Properties = field(default_factory=dict)
    id: str = ""
    preview: bool = False

    def __getitem__(self, name: str) -> Any:
        if name == "id":
            return self.id or UNKNOWN
        return self.inputs[name] if self.inputs.get(name) is not None else self.state.get(name)

    def get(self, name: str, default: Any = None) -> Any:
        """The input of that name, else the output, else ``default``."""
        found = self[name]
        return default if found is None else found

    def call(self, service: str, method: str, **parameters: Any) -> dict[str, Any]:
        """Call AWS in this resource's region."""
        return self.session.call(service, method, parameters, self.region)

    def arn(self, service: str, rest: str, *, region: str | None = None, account: str | None = None) -> str:
        """An ARN in this account and region; pass "" for services whose ARNs have none."""
        where = self.region if region is None else region
        whose = self.session.account if account is None else account
        return f"arn:aws:{service}:{where}:{whose}:{rest}"


Source = str | list[str] | Literal | Callable[[Scope], Any]


@dataclass(frozen=True, slots=True)
class Call:
    """One AWS call. ``when``: only if one of these inputs is set (on create) or has changed (on update)."""

    method: str
    params: Mapping[str, Source] = field(default_factory=dict)
    when: Sequence[str] = ()
    auto: bool = True
    uses: Sequence[str] = ()
    """Inputs that the functions in ``params`` look at, besides those named there."""
    unset: bool = False
    """Also called when an input of ``when`` was removed."""
    service: str = ""


Output = str | Callable[[Scope, dict[str, Any]], Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Row:
    """One Pulumi type, equal only to itself. ``create`` None means adopting something that AWS made itself (a
    default route table).
    """

    token: str
    service: str
    create: Call
    id: str | Callable[[Scope, dict[str, Any]], str]
    """Where create's answer has the id (JMESPath; ``inputs.name`` for an input), or a function of it."""
    read: Call | None = None
    at: str | Callable[[Scope, dict[str, Any]], Any] = "@"
    """Where read's answer has the resource (JMESPath, may contain ``{id}``), or a function of it."""
    update: Sequence[Call] = ()
    instead: Sequence[Call] = ()
    """Other ways to create: the first whose ``when`` is given is called in place of create."""
    after: Sequence[Call] = ()
    """Calls that complete a create; each is also an update of the inputs in its ``when``."""
    before_delete: Sequence[Call] = ()
    delete: Call | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    """Input → parameter, where the names do not match."""
    outputs: Mapping[str, Output] = field(default_factory=dict)
    """Output → JMESPath in the read answer, or a function of scope and answer."""
    name: str | None = "name"
    """The input that is named after the resource when it is left out."""
    longest: int = 255
    told: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Fields within an input's block that only the cloud tells: unknown in the preview of a create."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Outputs for inputs left out, as AWS defaults them."""
    replaces: Sequence[str] = ()
    mutable: Sequence[str] = ()
    tag_type: str = ""
    """EC2's resource type for TagSpecifications."""
    tag_key: str = "arn"
    """The property that the tagging calls of the service take."""
    store: bool = False
    """Kept in the store beside moto: moto has no such call, or keeps nothing of it."""
    why: str = ""
    """Why it is in the store, or what moto does not keep."""
    upsert: bool = False
    """create also updates."""
    ignore_missing: Sequence[str] = ()
    checks: Sequence[Callable[[Scope], None]] = ()
    """Rules that AWS has and moto has not; each raises Refused."""
    needs: Sequence[Callable[[Scope], None]] = ()
    """What must exist when this is made or changed, which a plan does not ask AWS for; each raises Refused."""
    guards: Sequence[Callable[[Scope], None]] = ()
    """What must be gone before this can be deleted; each raises Refused."""
    made: Callable[[Scope], None] | None = None
    """What follows a create and every update: rules inside a group, a real database, a real user."""
    gone: Callable[[Scope], None] | None = None
    """What follows a delete."""


def by(method: str, params: Mapping[str, Source] | None = None, service: str = "") -> Call:
    """A call that takes exactly ``params``: for reads and deletes."""
    return Call(method, params or {}, auto=False, service=service)


def resolve(source: Source, scope: Scope) -> Any:
    """The value that a source stands for; None when there is none."""
    if isinstance(source, Literal):
        return source.value
    if isinstance(source, str):
        return scope[source]
    if isinstance(source, list):
        found = [scope[name] for name in source]
        return None if any(item is None for item in found) else found
    return source(scope)
