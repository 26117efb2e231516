"""AWS's answers → Pulumi properties, and the comparison of what was asked with what is there."""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pulumi import _types

from scripts.local.cloud import sdk
from scripts.local.cloud.backend import UNKNOWN
from scripts.local.cloud.shapes import _key


def find(answer: Mapping[str, Any], name: str) -> Any:
    """The value in ``answer`` whose name means property ``name``, or None."""
    keys = {_key(key): key for key in answer}
    key = _key(name)
    for candidate in (key, f"{key}s", f"{key}list", key.removesuffix("s"), f"{key}set"):
        if candidate in keys:
            return answer[keys[candidate]]
    return None


def typed(annotation: Any, value: Any) -> Any:
    """``value`` of an answer in the form that the SDK's type of a property gives it; None when it does not fit."""
    value = _plain(value)
    options = sdk.alternatives(annotation)
    if not options or value is None:
        return value
    option = options[0]
    origin = typing.get_origin(option)
    if isinstance(value, dict) and set(value) <= {"Items", "Quantity"} and "Quantity" in value:
        value = value.get("Items", [])
    if origin is not None and issubclass(origin, Mapping):
        return pairs(value)
    if origin is not None and issubclass(origin, Sequence):
        item = typing.get_args(option)[0]
        items = value if isinstance(value, list) else [value]
        converted = [typed(item, entry) for entry in items]
        return None if any(entry is None for entry in converted) else converted
    if _types.is_input_type(option):
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if not isinstance(value, dict):
            return None
        found = {name: typed(prop.annotation, find(value, name)) for name, prop in sdk.properties(option).items()}
        return {name: item for name, item in found.items() if item is not None} or None
    if isinstance(value, str) and option in (int, float) and value.lstrip("-").replace(".", "", 1).isdigit():
        return float(value) if "." in value else int(value)
    if isinstance(value, str) and option is bool and value in ("true", "false"):
        return value == "true"
    if isinstance(value, dict | list):
        return json.dumps(value) if option is str and isinstance(value, dict) else None
    return value


def camel(value: Any) -> Any:
    """An answer with its keys in lowerCamel, for outputs that no input type describes."""
    value = _plain(value)
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: camel(item) for key, item in value.items()}
    if isinstance(value, list):
        return [camel(item) for item in value]
    return value


def same(asked: Any, there: Any) -> bool:
    """Whether what is there satisfies what was asked: order of lists, spelling of JSON and defaults do not matter."""
    if asked is UNKNOWN or there is UNKNOWN:
        return asked is there
    if asked in (None, "", [], {}) and there in (None, "", [], {}, False):
        return True
    if isinstance(asked, dict) and isinstance(there, dict):
        return all(same(item, there.get(key)) for key, item in asked.items())
    if isinstance(asked, list) and isinstance(there, list):
        if len(asked) != len(there):
            return False
        rest = list(there)
        for item in asked:
            match = next((i for i, other in enumerate(rest) if same(item, other)), None)
            if match is None:
                return False
            rest.pop(match)
        return True
    if isinstance(asked, bool) or isinstance(there, bool):
        return str(asked).lower() == str(there).lower()
    if (isinstance(asked, int | float) and isinstance(there, str)) or (
        isinstance(asked, str) and isinstance(there, int)
    ):
        return str(asked) == str(there)
    if isinstance(asked, str) and isinstance(there, str) and asked != there:
        return _json(asked) is not None and _json(asked) == _json(there)
    return bool(asked == there)


def _json(text: str) -> Any:
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value


def pairs(value: Any) -> dict[str, Any] | None:
    """Tags come as a map or as a list of {Key, Value} in one of several spellings."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        spelled = [{key.lower().removeprefix("tag"): entry for key, entry in item.items()} for item in value]
        return {item["key"]: item.get("value", "") for item in spelled if "key" in item}
    return None
