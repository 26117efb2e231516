"""The engine's encoding of property values (protobuf structs) to plain values and back.

The signatures are those of the Pulumi SDK (`sdk/python/lib/pulumi/runtime/rpc.py`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from google.protobuf import json_format, struct_pb2

from scripts.local.cloud.backend import UNKNOWN, Archive, Asset, Properties

SIGNATURE = "4dabf18193072939515e22adb298388d"


class Kind(StrEnum):
    """The values of the signature key that mark a special value."""

    ASSET = "c44067f5952c0a294b673a41bacd8c17"
    ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"
    SECRET = "1b47061264138c4ac30d75fd1eb44270"
    OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
    RESOURCE = "5cf8f73096256a8f31e491e813e4eb8e"


UNKNOWN_STRING = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_UNKNOWN_OF_TYPE = {
    UNKNOWN_STRING: "string",
    "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7": "bool",
    "3eeb2bf0-c639-47a8-9e75-3b44932eb421": "number",
    "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2": "array",
    "030794c1-ac77-496b-92df-f27374a8bd58": "asset",
    "e48ece36-62e2-4504-bad9-02848725956a": "archive",
    "dd056dcd-154b-4c76-9bd3-c8f88648b5ff": "object",
}


def decode(struct: struct_pb2.Struct) -> Properties:
    """Plain values of a struct; whole numbers become int, as the wire knows only floats."""
    return {key: _plain(value) for key, value in json_format.MessageToDict(struct).items()}


def encode(values: Properties) -> struct_pb2.Struct:
    """A struct of plain values; keys whose value is None are left out."""
    struct = struct_pb2.Struct()
    struct.update({key: _wire(value) for key, value in values.items() if value is not None})
    return struct


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, str):
        return UNKNOWN if value in _UNKNOWN_OF_TYPE else value
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    match value.get(SIGNATURE):
        case None:
            return {key: _plain(item) for key, item in value.items()}
        case Kind.SECRET:
            return _plain(value.get("value"))
        case Kind.OUTPUT:
            return _plain(value["value"]) if "value" in value else UNKNOWN
        case Kind.RESOURCE:
            return _plain(value.get("id", value["urn"]))
        case Kind.ASSET:
            return Asset(value.get("hash", ""), value.get("text"), value.get("path"), value.get("uri"))
        case Kind.ARCHIVE:
            parts = value.get("assets")
            named = None if parts is None else {key: _plain(item) for key, item in parts.items()}
            return Archive(value.get("hash", ""), value.get("path"), value.get("uri"), named)
        case other:
            raise ValueError(f"the engine sent a value of a kind that is not known here: {other!r}")


def _wire(value: Any) -> Any:
    if value is UNKNOWN:
        return UNKNOWN_STRING
    if isinstance(value, dict):
        return {key: _wire(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_wire(item) for item in value]
    if isinstance(value, Asset):
        fields = {"hash": value.hash, "text": value.text, "path": value.path, "uri": value.uri}
        return {SIGNATURE: Kind.ASSET.value, **{key: item for key, item in fields.items() if item is not None}}
    if isinstance(value, Archive):
        parts = None if value.parts is None else {key: _wire(item) for key, item in value.parts.items()}
        whole = {"hash": value.hash, "path": value.path, "uri": value.uri, "assets": parts}
        return {SIGNATURE: Kind.ARCHIVE.value, **{key: item for key, item in whole.items() if item is not None}}
    return value
