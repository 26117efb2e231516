"""What a table row means: the parameters of its calls, what a change replaces, and what lives in moto."""

from __future__ import annotations

import importlib
import uuid
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Any

import jmespath
from botocore.model import StructureShape
from moto.core.responses import BaseResponse

from scripts.local.cloud import sdk, shapes
from scripts.local.cloud.backend import UNKNOWN, Properties
from scripts.local.cloud.session import Session
from scripts.local.cloud.table import Call, Literal, Row, Scope, resolve

_TAGS = ("Tags", "tags", "TagList", "tagList")
_MOTO_NAMES = {"lambda": "awslambda"}


def request(row: Row, call: Call, scope: Scope, *, tags: Mapping[str, Any] | None) -> dict[str, Any]:
    """The parameters of ``call``. Inputs that the call does not take stay out; raises Refused if a function of the
    row does.
    """
    model = shapes.operation(call.service or row.service, call.method)
    shape = model.input_shape
    sent: dict[str, Any] = {}
    if not isinstance(shape, StructureShape):
        return sent
    if call.auto:
        named = {name: value for name, value in scope.inputs.items() if name not in ("tags", "tagsAll", "region")}
        sent = shapes.parameters(shape, named, row.names)
    for parameter, source in call.params.items():
        value = resolve(source, scope)
        sent.pop(parameter, None)
        if value is not None:
            sent[parameter] = (
                value if isinstance(source, Literal) else shapes.parameter(shape.members[parameter], value)
            )
    for member in model.idempotent_members:
        sent.setdefault(member, uuid.uuid4().hex)
    if tags:
        _tag(row, shape, sent, tags)
    return sent


def _tag(row: Row, shape: StructureShape, sent: dict[str, Any], tags: Mapping[str, Any]) -> None:
    if row.tag_type and "TagSpecifications" in shape.members:
        pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
        sent["TagSpecifications"] = [{"ResourceType": row.tag_type, "Tags": pairs}]
        return
    for member in _TAGS:
        if member in shape.members:
            sent[member] = shapes.parameter(shape.members[member], dict(tags))
            return


def tagged_at_creation(row: Row) -> bool:
    """Whether create itself takes the tags."""
    shape = shapes.operation(row.create.service or row.service, row.create.method).input_shape
    members = shape.members if isinstance(shape, StructureShape) else {}
    return any(name in members for name in _TAGS) or bool(row.tag_type and "TagSpecifications" in members)


def covered(row: Row, call: Call) -> set[str]:
    """The inputs of the type that this call carries to AWS."""
    inputs = sdk.model(row.token).inputs
    shape = shapes.operation(call.service or row.service, call.method).input_shape
    named = {source for source in call.params.values() if isinstance(source, str)}
    named |= {name for source in call.params.values() if isinstance(source, list) for name in source}
    found = (named | set(call.uses) | set(call.when)) & set(inputs)
    if call.auto and isinstance(shape, StructureShape):
        for name in inputs:
            target = row.names.get(name) or shapes.member(shape, name)
            if target in shape.members and target not in call.params:
                found.add(name)
    return found - {"tags", "tagsAll", "region"}


def sent(row: Row) -> set[str]:
    """Every input that reaches AWS in one of the row's calls, by name or through one of its functions."""
    calls = (row.create, *row.instead, *row.after, *row.update)
    looked_at = set().union(*(_looked_at(call) for call in calls)) & set(sdk.model(row.token).inputs)
    return set().union(*(covered(row, call) for call in calls)) | looked_at


class _Recording(dict[str, Any]):
    """Inputs that note which of them a function asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.asked.add(key)
        return default

    def __getitem__(self, key: str) -> Any:
        return self.get(key)


def _looked_at(call: Call) -> set[str]:
    """The inputs that the functions of a call ask for before they need a value."""
    inputs = _Recording()
    nowhere = Session("http://127.0.0.1:9", "123456789012")
    scope = Scope(nowhere, "eu-west-3", inputs, preview=True)
    for source in call.params.values():
        if callable(source):
            with suppress(Exception):
                source(scope)
    return inputs.asked


@cache
def replaces(row: Row) -> frozenset[str]:
    """The inputs (or paths within them) that cannot be changed in place."""
    inputs = sdk.model(row.token).inputs
    documented = {name for name, property in inputs.items() if property.replaces}
    fixed = set() if row.upsert else set().union(*(covered(row, call) for call in (row.create, *row.instead)))
    changed: set[str] = set()
    for call in (*row.update, *row.after):
        changed |= covered(row, call)
    always = {"region", "namePrefix", "identifierPrefix", "bucketPrefix", row.name or "region"} & set(inputs)
    return frozenset(((fixed - changed) | documented | always | set(row.replaces)) - set(row.mutable))


# Moto answers these by path and query, without a method a call; tests/local/cloud/test_buckets.py tries each.
_BY_PATH = frozenset({"s3"})


@cache
def _moto_has(service: str, method: str) -> bool:
    if service in _BY_PATH:
        return True
    try:
        module = importlib.import_module(f"moto.{_MOTO_NAMES.get(service, service.replace('-', ''))}.responses")
    except ImportError:
        return False
    responses = [kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, BaseResponse)]
    return any(hasattr(kind, method) for kind in responses)


def uses_store(row: Row) -> bool:
    """Whether the resource is kept beside moto, because moto has no such call or the table says so."""
    return row.store or not _moto_has(row.create.service or row.service, row.create.method)


def creation(row: Row, scope: Scope) -> Call:
    """The call that makes this resource: create, unless an input asks for another way."""
    given = (call for call in row.instead if any(scope.inputs.get(name) is not None for name in call.when))
    return next(given, row.create)


def identity(row: Row, scope: Scope, answer: dict[str, Any]) -> str:
    """The id that create's answer gives a new resource."""
    if callable(row.id):
        return str(row.id(scope, answer))
    if row.id.startswith("inputs."):
        return str(scope.inputs[row.id.removeprefix("inputs.")])
    return str(jmespath.search(row.id, answer))


def with_told(row: Row, state: Properties, before: Properties) -> Properties:
    """The blocks of which the cloud tells some fields, with these as they were ``before``, else unknown."""
    blocks = {}
    for name, fields in row.told.items():
        given, had = state.get(name), before.get(name)
        if isinstance(given, dict):
            told = {field: had.get(field, UNKNOWN) if isinstance(had, dict) else UNKNOWN for field in fields}
            blocks[name] = {**told, **given}
    return blocks
