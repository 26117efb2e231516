"""The committed OpenAPI documents are what the applications serve, and leave nothing out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from scripts import openapi
from scripts.deployment import ROOT
from services.common.openapi import operations
from tests.services.authorisation import table

DOCUMENTS = openapi.documents()
each_service = pytest.mark.parametrize("service", ["booking", "notification", "payment"])


def document(service: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DOCUMENTS[openapi.FOLDER / f"{service}.json"])
    return found


def test_the_documents_are_what_the_applications_say() -> None:
    assert {path: path.read_text() for path in openapi.FOLDER.glob("*.json")} == DOCUMENTS, (
        "run `python -m scripts.openapi`"
    )


def test_people_are_led_to_them() -> None:
    assert "docs/api.md" in (ROOT / "README.md").read_text()
    text = (ROOT / "docs" / "api.md").read_text()
    assert all(f"(api/{path.name})" in text for path in DOCUMENTS)


@each_service
def test_every_error_of_every_operation_is_a_problem_with_its_types(service: str) -> None:
    whole = document(service)
    for operation in operations(whole):
        errors = {status: answer for status, answer in operation["responses"].items() if int(status) >= 400}
        assert "500" in errors
        for status, answer in errors.items():
            [media_type] = (problem := resolved(whole, answer))["content"]
            assert media_type == "application/problem+json", (operation["operationId"], status)
            assert types(problem), (operation["operationId"], status)


@each_service
def test_an_operation_that_asks_who_calls_may_say_401_and_what_is_repeated_has_a_key(service: str) -> None:
    whole = document(service)
    assert whole["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    for operation in operations(whole):
        answers = operation["responses"]
        assert ("security" in operation) == ("401" in answers), operation["operationId"]
        keyed = any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", ()))
        reused = "idempotency-key-reused" in str(answers.get("422"))
        assert keyed == reused, operation["operationId"]


@each_service
def test_whoever_is_told_to_come_back_is_told_when(service: str) -> None:
    whole = document(service)
    for operation in operations(whole):
        for answer in operation["responses"].values():
            problem = resolved(whole, answer)
            if types(problem) & {"too-many-buyers", "request-in-flight", "issuer-unavailable"}:
                assert "Retry-After" in problem["headers"], operation["operationId"]


@each_service
def test_nothing_of_the_frameworks_own_error_format_is_left(service: str) -> None:
    assert "HTTPValidationError" not in DOCUMENTS[openapi.FOLDER / f"{service}.json"]


@each_service
def test_every_reference_leads_somewhere(service: str) -> None:
    whole = document(service)
    for reference in references(whole):
        resolved(whole, {"$ref": reference})


def resolved(whole: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """``answer``, or what its reference leads to."""
    if "$ref" not in answer:
        return answer
    found = whole
    for part in answer["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return found


def types(problem: dict[str, Any]) -> set[str]:
    """The kinds of problem that a response may be."""
    content = problem.get("content", {}).get("application/problem+json")
    if content is None:
        return set()
    _, of_kind = content["schema"]["allOf"]
    return {urn.removeprefix("urn:problem:") for urn in of_kind["properties"]["type"]["enum"]}


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, each in value.items():
            if key == "$ref":
                yield each
            else:
                yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


@each_service
def test_every_operation_has_a_row_in_the_table_of_who_may_do_what(service: str) -> None:
    paths = document(service)["paths"]
    operations = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert set(table(service)) == operations
