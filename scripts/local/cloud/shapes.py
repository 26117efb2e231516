"""botocore's parameter model: Pulumi properties → parameters of an AWS call, and the second check of an input.

Names match when they are equal without case, separators and plural (``subnetIds`` ↔ ``SubnetIds``, ``subnetMapping`` ↔
``SubnetMappings``); what differs beyond that is said by the table. Values follow the shape: a single block becomes a
list where AWS takes a list, a map of tags becomes key/value pairs, a list becomes ``{Quantity, Items}`` for CloudFront.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import botocore.session
from botocore import xform_name
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape
from botocore.validate import ParamValidator

from scripts.local.cloud.backend import UNKNOWN, Archive, Asset, Refused

_NUMBERS = ("integer", "long", "float", "double")


@cache
def _service(service: str) -> tuple[ServiceModel, Mapping[str, str]]:
    model = botocore.session.get_session().get_service_model(service)
    return model, {xform_name(name): name for name in model.operation_names}


@cache
def operation(service: str, method: str) -> OperationModel:
    """The model of the call that ``client(service).method()`` makes; raises KeyError when there is none."""
    model, methods = _service(service)
    return model.operation_model(methods[method])


def nested(service: str, method: str, parameter: str) -> Any:
    """The shape of one parameter of a call."""
    shape = operation(service, method).input_shape
    assert isinstance(shape, StructureShape)
    return shape.members[parameter]


@cache
def _members(shape: StructureShape) -> Mapping[str, str]:
    return {_key(name): name for name in shape.members}


def member(shape: StructureShape, name: str) -> str | None:
    """The member of ``shape`` that a property called ``name`` means, or None."""
    known = _members(shape)
    key = _key(name)
    for candidate in (key, f"{key}s", f"{key}list", key.removesuffix("s"), re.sub("ies$", "y", key), f"{key}set"):
        if candidate in known:
            return known[candidate]
    return None


def parameters(
    shape: StructureShape, values: Mapping[str, Any], names: Mapping[str, str] | None = None, path: str = ""
) -> dict[str, Any]:
    """The parameters that ``values`` give for a structure; properties without a matching member are left out.

    ``names`` maps a property (a dotted path below the top) to its member where the names do not match.
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        where = f"{path}{name}"
        target = (names or {}).get(where) or member(shape, name)
        if value is not None and target in shape.members:
            found[target] = parameter(shape.members[target], value, names, f"{where}.")
    return found


def parameter(shape: Shape, value: Any, names: Mapping[str, str] | None = None, path: str = "") -> Any:
    """One value as ``shape`` wants it."""
    if value is UNKNOWN:
        return UNKNOWN
    if isinstance(shape, StructureShape):
        return _structure(shape, value, names, path)
    if isinstance(shape, ListShape):
        if isinstance(value, dict) and (pair := _pair(shape.member)):
            return [{pair[0]: key, pair[1]: item} for key, item in value.items()]
        items = value if isinstance(value, list) else [value]
        return [parameter(shape.member, item, names, path) for item in items]
    if isinstance(shape, MapShape) and isinstance(value, dict):
        return {key: parameter(shape.value, item, names, path) for key, item in value.items()}
    return _scalar(shape, value)


def _pair(shape: Shape) -> tuple[str, str] | None:
    """The two members of a key/value structure (tags, dimensions, …), or None for any other structure."""
    if not isinstance(shape, StructureShape) or len(shape.members) != 2:
        return None
    known = _members(shape)
    key = next((known[name] for name in ("key", "name", "tagkey") if name in known), None)
    value = next((known[name] for name in ("value", "tagvalue") if name in known), None)
    return (key, value) if key and value else None


def _structure(shape: StructureShape, value: Any, names: Mapping[str, str] | None, path: str) -> Any:
    if {"Items", "Quantity"} <= set(shape.members):
        items = value if isinstance(value, list) else value.get("items", []) if isinstance(value, dict) else [value]
        listed = parameter(shape.members["Items"], items, names, path)
        return {"Quantity": len(items), **({"Items": listed} if items else {})}
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict):
        return value
    return parameters(shape, value, names, path)


def _scalar(shape: Shape, value: Any) -> Any:
    kind = shape.type_name
    if kind == "boolean" and value in ("true", "false"):
        return value == "true"
    if kind in _NUMBERS and isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value):
        return float(value) if kind in ("float", "double") else int(float(value))
    if kind in ("float", "double") and isinstance(value, int):
        return float(value)
    if (
        kind == "string"
        and isinstance(value, str)
        and value not in (allowed := getattr(shape, "enum", None) or [value])
    ):
        # The real provider takes the words of an enumeration in any case (RabbitMQ for RABBITMQ).
        return next((word for word in allowed if word.lower() == value.lower()), value)
    if kind == "string" and isinstance(value, bool):
        return str(value).lower()
    if kind == "string" and isinstance(value, int | float):
        return str(value)
    if kind == "blob" and isinstance(value, str):
        return value.encode()
    return value


def check(shape: Shape | None, values: Any) -> list[Refused]:
    """What botocore's model says against the parameters; unknown values pass, as they cannot be judged yet."""
    if shape is None:
        return []
    report = ParamValidator().validate(_filled(shape, values), shape)
    refusals = [Refused("", line) for line in report.generate_report().splitlines()]
    return refusals + _enums(shape, values, "")


def _filled(shape: Shape, value: Any) -> Any:
    """``value`` with a valid stand-in for everything that is still unknown."""
    if value is UNKNOWN:
        return _stand_in(shape)
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        return {key: _filled(shape.members[key], item) if key in shape.members else item for key, item in value.items()}
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [_filled(shape.member, item) for item in value]
    if isinstance(shape, MapShape) and isinstance(value, dict):
        return {key: _filled(shape.value, item) for key, item in value.items()}
    return value


def _stand_in(shape: Shape) -> Any:
    if isinstance(shape, StructureShape):
        return {name: _stand_in(shape.members[name]) for name in shape.required_members}
    if isinstance(shape, ListShape):
        return [_stand_in(shape.member)] * int(shape.metadata.get("min", 0))
    if isinstance(shape, MapShape):
        return {}
    least = shape.metadata.get("min", 1)
    stand_ins = {"boolean": True, "blob": b"x", "timestamp": 0, "integer": least, "long": least}
    return stand_ins.get(shape.type_name, float(least) if shape.type_name in _NUMBERS else "x" * max(int(least), 1))


def _enums(shape: Shape, value: Any, path: str) -> list[Refused]:
    """ParamValidator looks at neither enumerations nor the longest allowed text; AWS does."""
    if value is UNKNOWN:
        return []
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        return [
            refusal
            for key, item in value.items()
            if key in shape.members
            for refusal in _enums(shape.members[key], item, f"{path}.{key}".lstrip("."))
        ]
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [refusal for i, item in enumerate(value) for refusal in _enums(shape.member, item, f"{path}[{i}]")]
    if isinstance(value, str) and shape.type_name == "string":
        allowed = getattr(shape, "enum", None)
        if allowed and value not in allowed:
            return [Refused("", f"Invalid value for parameter {path}: {value!r} is not one of {', '.join(allowed)}")]
        longest = shape.metadata.get("max")
        if longest is not None and len(value) > int(longest):
            return [Refused("", f"Invalid length for parameter {path}: {len(value)} characters, at most {longest}")]
    return []


def content(value: Any) -> bytes:
    """The bytes of an asset or archive (a zip for a folder), for calls that upload it."""
    import io
    import zipfile
    from pathlib import Path

    if isinstance(value, Asset):
        return value.text.encode() if value.text is not None else Path(value.path or "").read_bytes()
    if isinstance(value, Archive) and value.path and Path(value.path).is_file():
        return Path(value.path).read_bytes()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as bundle:
        if isinstance(value, Archive) and value.path:
            root = Path(value.path)
            for file in sorted(path for path in root.rglob("*") if path.is_file()):
                bundle.write(file, str(file.relative_to(root)))
        for name, part in sorted((value.parts or {}).items()):
            bundle.writestr(name, content(part))
    return buffer.getvalue()


def _key(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())
