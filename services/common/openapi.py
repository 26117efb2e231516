"""The OpenAPI document of an API: what FastAPI knows of its routes, and all that they may answer.

Routes name the problems that are theirs (`problems.documented`). What every route has is added here: the answers to
callers without a good token, to requests that break the schema or cannot be read, and to our own failures.
"""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from services.common.problems import KINDS, MEDIA_TYPE, Kind, ProblemDetails, urn

SCHEMAS: Final = "#/components/schemas/"
# The header that a problem of this kind always has.
_HEADERS: Final = {
    "unauthorised": ("WWW-Authenticate", "string"),
    "request-in-flight": ("Retry-After", "integer"),
    "too-many-buyers": ("Retry-After", "integer"),
    "issuer-unavailable": ("Retry-After", "integer"),
}


class Api(FastAPI):
    """A FastAPI application whose document is complete. Operations are named after their functions."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(generate_unique_id_function=_name, **settings)

    def openapi(self) -> dict[str, Any]:
        """The document, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = completed(super().openapi())
        return self.openapi_schema


def completed(document: dict[str, Any]) -> dict[str, Any]:
    """``document`` with the answers of every operation."""
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for replaced in ("HTTPValidationError", "ValidationError"):
        schemas.pop(replaced, None)
    schemas |= models_json_schema([(ProblemDetails, "serialization")], ref_template=f"{SCHEMAS}{{model}}")[1]["$defs"]
    shared = components.setdefault("responses", {})
    for operation in operations(document):
        # Bodies that a route describes by itself bring what they are made of.
        for body in operation.get("requestBody", {}).get("content", {}).values():
            schemas |= body["schema"].pop("$defs", {})
        responses = operation["responses"]
        by_status: dict[int, set[str]] = {}
        for status, kind in _common(operation):
            by_status.setdefault(status, set()).add(kind)
        for status, response in responses.items():
            if KINDS in response:
                by_status.setdefault(int(status), set()).update(response[KINDS])
        for status, kinds in sorted(by_status.items()):
            name = f"{status}-{'-or-'.join(sorted(kinds))}"
            shared[name] = _response(status, sorted(kinds))
            responses[str(status)] = {"$ref": f"#/components/responses/{name}"}
        operation["responses"] = dict(sorted(responses.items()))
    for kind in ("schemas", "responses"):
        components[kind] = dict(sorted(components[kind].items()))
    return document


def operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every operation of a document."""
    for methods in document["paths"].values():
        yield from methods.values()


def _common(operation: dict[str, Any]) -> Iterator[Kind]:
    yield 500, "internal-error"
    if "security" in operation:
        yield 401, "unauthorised"
        yield 503, "issuer-unavailable"
    # FastAPI lists 422 for what it checks itself.
    if "422" in operation["responses"]:
        yield 422, "invalid-request"
    if "requestBody" in operation:
        yield 413, "too-large"
        if "422" in operation["responses"]:
            yield 400, "unreadable-body"


def _response(status: int, kinds: list[str]) -> dict[str, Any]:
    headers = {
        name: {"schema": {"type": type_}, "required": all(_HEADERS.get(each, ("",))[0] == name for each in kinds)}
        for kind, (name, type_) in _HEADERS.items()
        if kind in kinds
    }
    of_kind = {"properties": {"type": {"enum": [urn(kind) for kind in kinds]}}}
    return {
        "description": HTTPStatus(status).phrase,
        **({"headers": headers} if headers else {}),
        "content": {MEDIA_TYPE: {"schema": {"allOf": [{"$ref": f"{SCHEMAS}{ProblemDetails.__name__}"}, of_kind]}}},
    }


def _name(route: APIRoute) -> str:
    return route.name
