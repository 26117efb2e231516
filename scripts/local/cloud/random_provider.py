"""The random provider: real randomness, kept in the stack's state; any change of an input (keepers included)
replaces.
"""

from __future__ import annotations

import base64
import secrets
import string
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from scripts.local.cloud import changes, sdk
from scripts.local.cloud.backend import (
    UNKNOWN,
    Change,
    Checked,
    Created,
    Difference,
    Found,
    Properties,
    Refused,
    Resource,
)

# random_password's default for override_special (registry documentation of the provider).
_SPECIAL = "!@#$%&*()-_=+[]{}<>:?"
_ADJECTIVES = (
    "amber",
    "brave",
    "calm",
    "eager",
    "fair",
    "gentle",
    "keen",
    "lively",
    "merry",
    "noble",
    "proud",
    "swift",
)
_ANIMALS = (
    "badger",
    "crane",
    "dolphin",
    "falcon",
    "gecko",
    "heron",
    "lynx",
    "marten",
    "otter",
    "puffin",
    "raven",
    "stork",
)
_GENERATOR = secrets.SystemRandom()


def _text(inputs: Properties) -> Properties:
    """``length`` characters of the wanted classes, with at least the wanted number of each."""
    classes = {
        "lower": (string.ascii_lowercase, "minLower"),
        "upper": (string.ascii_uppercase, "minUpper"),
        "numeric": (string.digits, "minNumeric"),
        "special": (inputs.get("overrideSpecial") or _SPECIAL, "minSpecial"),
    }
    wanted = {name: pair for name, pair in classes.items() if inputs.get(name, True) is not False}
    chosen = [secrets.choice(letters) for letters, least in wanted.values() for _ in range(int(inputs.get(least) or 0))]
    everything = "".join(letters for letters, _ in wanted.values())
    chosen += [secrets.choice(everything) for _ in range(int(inputs["length"]) - len(chosen))]
    _GENERATOR.shuffle(chosen)
    return {"result": "".join(chosen)}


def _password(inputs: Properties) -> Properties:
    made = _text(inputs)
    return {**made, "bcryptHash": f"${secrets.token_urlsafe(40)}", "id": "none"}


def _id(inputs: Properties) -> Properties:
    raw = secrets.token_bytes(int(inputs["byteLength"]))
    prefix = inputs.get("prefix") or ""
    url = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    return {
        "b64Std": prefix + base64.b64encode(raw).decode(),
        "b64Url": prefix + url,
        "hex": prefix + raw.hex(),
        "dec": prefix + str(int.from_bytes(raw)),
        "id": url,
    }


def _bytes(inputs: Properties) -> Properties:
    raw = secrets.token_bytes(int(inputs["length"]))
    return {"base64": base64.b64encode(raw).decode(), "hex": raw.hex(), "id": "none"}


def _pet(inputs: Properties) -> Properties:
    count = int(inputs.get("length") or 2)
    words = [secrets.choice(_ADJECTIVES) for _ in range(count - 1)] + [secrets.choice(_ANIMALS)]
    parts = [inputs["prefix"], *words] if inputs.get("prefix") else words
    return {"id": str(inputs.get("separator", "-")).join(parts)}


def _integer(inputs: Properties) -> Properties:
    return {"result": secrets.randbelow(int(inputs["max"]) - int(inputs["min"]) + 1) + int(inputs["min"])}


def _shuffle(inputs: Properties) -> Properties:
    items = list(inputs["inputs"])
    _GENERATOR.shuffle(items)
    return {"results": items[: int(inputs.get("resultCount") or len(items))], "id": "-"}


def _uuid(_: Properties) -> Properties:
    return {"result": str(uuid.uuid4())}


_MAKERS: dict[str, Callable[[Properties], Properties]] = {
    "random:index/randomPassword:RandomPassword": _password,
    "random:index/randomString:RandomString": _text,
    "random:index/randomId:RandomId": _id,
    "random:index/randomBytes:RandomBytes": _bytes,
    "random:index/randomPet:RandomPet": _pet,
    "random:index/randomInteger:RandomInteger": _integer,
    "random:index/randomShuffle:RandomShuffle": _shuffle,
    "random:index/randomUuid:RandomUuid": _uuid,
    "random:index/randomUuid4:RandomUuid4": _uuid,
}
_TEXT_DEFAULTS: Properties = {
    **dict.fromkeys(("lower", "upper", "number", "numeric", "special"), True),
    **dict.fromkeys(("minLower", "minUpper", "minNumeric", "minSpecial"), 0),
}
_DEFAULTS: dict[str, Properties] = {
    "random:index/randomPassword:RandomPassword": _TEXT_DEFAULTS,
    "random:index/randomString:RandomString": _TEXT_DEFAULTS,
    "random:index/randomPet:RandomPet": {"length": 2, "separator": "-"},
}


class RandomBackend:
    """Resources of the ``random`` package."""

    version = "4.21.4"

    def configured(self, config: Properties) -> RandomBackend:
        """There is nothing to configure."""
        return self

    def check(self, resource: Resource, inputs: Properties, old: Properties, seed: bytes) -> Checked:
        """The SDK's types, and lengths that can be met."""
        if resource.type not in _MAKERS:
            raise Refused("", f"{resource.type} is not simulated; known are: {', '.join(sorted(_MAKERS))}")
        refusals = sdk.check(sdk.model(resource.type).inputs, inputs)
        if not refusals:
            refusals = _impossible(resource.type, inputs)
        return Checked(inputs, [Refused(r.property, f"{resource.type} {resource.name!r}: {r}") for r in refusals])

    def diff(
        self, resource: Resource, id: str, state: Properties, old: Properties, new: Properties, ignore: Sequence[str]
    ) -> Difference:
        """Every change is a replacement."""
        found = changes.differences(old, new, ignore=ignore)
        return Difference(dict.fromkeys(found, Change.REPLACE))

    def create(self, resource: Resource, inputs: Properties, *, preview: bool, timeout: float) -> Created:
        """Draw."""
        given = {**_DEFAULTS.get(resource.type, {}), **inputs}
        if preview:
            return Created("", {**dict.fromkeys(sdk.model(resource.type).outputs, UNKNOWN), **given})
        made = _MAKERS[resource.type](given)
        id = str(made.pop("id", None) or made.get("result"))
        return Created(id, {**given, **made})

    def id_ahead(self, resource: Resource, inputs: Properties) -> str:
        """It is drawn."""
        return ""

    def read(self, resource: Resource, id: str, state: Properties, inputs: Properties) -> Found:
        """It is what the state says; an import takes the id for the result."""
        return Found(id, state or {"result": id}, inputs)

    def update(
        self, resource: Resource, id: str, state: Properties, old: Properties, new: Properties, **_: Any
    ) -> Properties:
        """Nothing is ever updated in place."""
        return {**state, **new}

    def delete(self, resource: Resource, id: str, state: Properties, *, timeout: float) -> None:
        """Forgetting is enough."""

    def invoke(self, token: str, arguments: Properties, *, preview: bool) -> Properties:
        """The package has no functions."""
        raise Refused("", f"{token} is not simulated")


def _impossible(token: str, inputs: Properties) -> list[Refused]:
    length = inputs.get("length")
    least = [inputs.get(name) or 0 for name in ("minLower", "minUpper", "minNumeric", "minSpecial")]
    if isinstance(length, int) and all(isinstance(each, int) for each in least) and sum(least) > length:
        return [Refused("length", f"is {length}, but the minima of the classes add up to {sum(least)}")]
    low, high = inputs.get("min"), inputs.get("max")
    if isinstance(low, int) and isinstance(high, int) and low > high:
        return [Refused("min", f"is {low}, but must not be above max {high}")]
    return []
