"""The argument types of the installed Pulumi SDKs, read by introspection: the first of the three checks of an input.

A generated SDK types every resource twice: a class ``VpcArgs`` whose constructor names, types and documents each
input, and
property getters on ``Vpc`` that name the outputs. Both are read once per type and cached; a module is imported only
when a program uses one of its types.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
import threading
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any

import pulumi
from pulumi import _types

from scripts.local.cloud.backend import UNKNOWN, Archive, Asset, Refused

# How the providers' documentation says that a property cannot be changed in place.
_REPLACES = re.compile(
    r"forces?\s+(a\s+|the\s+)?(new|replacement|creation|recreation|re-creation)|"
    r"changing (this|the)[^.]{0,60}(forces|creates|recreates|replaces|new resource)|cannot be (changed|modified) after",
    re.IGNORECASE,
)

_IMPORTING = threading.RLock()


@dataclass(frozen=True, slots=True)
class Property:
    """One input: its wire name, its type as the SDK annotates it, and what its documentation says of replacement."""

    name: str
    annotation: Any
    required: bool
    replaces: bool


@dataclass(frozen=True, slots=True)
class Model:
    """A resource type: inputs by wire name, and the wire names of all outputs (inputs included)."""

    token: str
    inputs: Mapping[str, Property]
    outputs: frozenset[str]


class NoSuchType(LookupError):
    """The installed SDK has no resource type of that token."""


@cache
def model(token: str) -> Model:
    """The model of ``aws:ec2/vpc:Vpc``; raises NoSuchType when the SDK does not have it."""
    package, path, name = token.split(":")
    module_name = f"pulumi_{package}.{path.removeprefix('index/').replace('/', '.')}"
    try:
        # The SDK's packages import each other lazily: two threads at it would see half of one.
        with _IMPORTING:
            where = _pythonic(module_name)
            # The package first, by asking it for the name: a module that is imported before its package has loaded
            # leaves the package for ever without what it was to take from the module.
            getattr(importlib.import_module(where.rpartition(".")[0]), name, None)
            module = importlib.import_module(where)
        resource = getattr(module, name)
    except (ImportError, AttributeError):
        raise NoSuchType(f"{token}: the installed pulumi_{package} has no such resource type") from None
    # A block of another resource may have taken the plain name.
    arguments = getattr(module, f"{name}InitArgs", None) or getattr(module, f"{name}Args")
    outputs = frozenset(wire for _, wire, _ in _types._py_properties(resource))
    return Model(token, properties(arguments), outputs)


@cache
def properties(arguments: type) -> Mapping[str, Property]:
    """The properties of an ``…Args`` class, by wire name."""
    constructor = arguments.__init__  # type: ignore[misc]
    hints = typing.get_type_hints(constructor, localns={"Output": pulumi.Output, "T": Any})
    docs = _parameter_docs(constructor.__doc__ or "")
    wire = _types.input_type_py_to_pulumi_names(arguments)
    return {
        wire.get(name, name): Property(
            wire.get(name, name),
            hints[name],
            parameter.default is parameter.empty,
            bool(_REPLACES.search(docs.get(name, ""))),
        )
        for name, parameter in inspect.signature(constructor).parameters.items()
        if not name.startswith("__")
    }


def check(properties: Mapping[str, Property], values: Mapping[str, Any], path: str = "") -> list[Refused]:
    """Everything about ``values`` that the SDK's types do not allow: missing, unknown and mistyped properties."""
    refusals = [
        Refused(f"{path}{name}", "is required, but missing")
        for name, property in properties.items()
        if property.required and values.get(name) is None
    ]
    for name, value in values.items():
        if name.startswith("__"):
            continue
        if name not in properties:
            refusals.append(Refused(f"{path}{name}", f"is not a property here; {_nearest(name, properties)}"))
        elif value is not None:
            refusals += _mistyped(properties[name].annotation, value, f"{path}{name}")
    return refusals


def _nearest(name: str, properties: Mapping[str, Property]) -> str:
    near = difflib.get_close_matches(name, properties, 1)
    return f"did you mean {near[0]}?" if near else f"known are: {', '.join(sorted(properties))}"


def _mistyped(annotation: Any, value: Any, path: str) -> list[Refused]:
    options = alternatives(annotation)
    if value is UNKNOWN or not options or Any in options:
        return []
    attempts = [_against(option, value, path) for option in options]
    if any(not attempt for attempt in attempts):
        return []
    # Of several alternatives the one that gets furthest into the value explains best what is wrong with it.
    return max(attempts, key=lambda attempt: len(attempt[0].property))


def _against(option: Any, value: Any, path: str) -> list[Refused]:
    origin = typing.get_origin(option)
    if origin is typing.Literal:
        allowed = list(typing.get_args(option))
        return [] if value in allowed else [Refused(path, f"is {value!r}, but must be one of {allowed}")]
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            return [_wrong(path, "a map", value)]
        item = typing.get_args(option)[1]
        return [refusal for key, entry in value.items() for refusal in _mistyped(item, entry, f"{path}.{key}")]
    if origin is not None and issubclass(origin, Sequence):
        if not isinstance(value, list):
            return [_wrong(path, "a list", value)]
        item = typing.get_args(option)[0]
        return [refusal for i, entry in enumerate(value) for refusal in _mistyped(item, entry, f"{path}[{i}]")]
    if _types.is_input_type(option):
        if not isinstance(value, dict):
            return [_wrong(path, f"an object ({option.__name__})", value)]
        return check(properties(option), value, f"{path}.")
    return _scalar(option, value, path)


def _scalar(option: Any, value: Any, path: str) -> list[Refused]:
    if inspect.isclass(option) and issubclass(option, Enum):
        allowed = [member.value for member in option]
        return [] if value in allowed else [Refused(path, f"is {value!r}, but must be one of {allowed}")]
    if option is bool:
        return [] if isinstance(value, bool) or value in ("true", "false") else [_wrong(path, "true or false", value)]
    if option in (int, float):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        whole = option is float or not isinstance(value, float)
        return [] if (number and whole) or _numeric(value) else [_wrong(path, "a number", value)]
    if option is str:
        # The engine turns numbers and booleans into strings as Terraform does; lists and maps it does not.
        return [] if isinstance(value, str | int | float | bool) else [_wrong(path, "a string", value)]
    if option in (pulumi.Asset, pulumi.Archive):
        return [] if isinstance(value, Asset | Archive) else [_wrong(path, "an asset or archive", value)]
    return []


def _numeric(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value) is not None


def _wrong(path: str, wanted: str, value: Any) -> Refused:
    return Refused(path, f"must be {wanted}, but is {type(value).__name__} {str(value)[:60]!r}")


@cache
def alternatives(annotation: Any) -> tuple[Any, ...]:
    """The plain types in ``Input[Optional[T]]``: without None, awaitables, outputs and typed dictionaries."""
    found: list[Any] = []
    pending = [annotation]
    while pending:
        current = pending.pop(0)
        origin = typing.get_origin(current)
        if origin in (typing.Union, types.UnionType):
            pending = [*typing.get_args(current), *pending]
        elif origin in (typing.Required, typing.NotRequired):
            pending = [typing.get_args(current)[0], *pending]
        elif current is type(None) or typing.is_typeddict(current) or _is_deferred(current, origin):
            continue
        elif current not in found:
            found.append(current)
    return tuple(found)


def _is_deferred(annotation: Any, origin: Any) -> bool:
    candidate = origin or annotation
    if not inspect.isclass(candidate):
        return False
    return issubclass(candidate, pulumi.Output) or (
        candidate.__module__ == "collections.abc" and candidate.__name__ == "Awaitable"
    )


def _parameter_docs(text: str) -> dict[str, str]:
    parts = re.split(r"^\s*:param [^:]*?(?:\[.*\])? ?(\w+): ", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=False))


def _pythonic(path: str) -> str:
    """``pulumi_aws.lambda.eventSourceMapping`` → ``pulumi_aws.lambda_.event_source_mapping``, as the generator does."""
    snake = re.sub(r"(?<=[a-z0-9])([A-Z])", lambda match: "_" + match.group(1).lower(), path).lower()
    return ".".join(f"{part}_" if part == "lambda" else part for part in snake.split("."))
