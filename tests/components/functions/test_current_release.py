"""The function at the edge that leads to the current release, run as CloudFront runs it: JavaScript, with a store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import quickjs

SOURCE = Path(__file__).parents[3] / "components" / "functions" / "current_release.js"
NAME = "2026-11-24.1"
# What CloudFront gives a function: a key-value store, which throws for a key that is not there, and a console.
WORLD = """
const pointers = %s;
const console = {log: () => {}};
const cf = {kvs: () => ({get: async key => {
    if (!(key in pointers)) throw new Error('KeyNotFound');
    return pointers[key];
}})};
"""


def answer(uri: str, pointers: dict[str, str]) -> dict[str, Any]:
    """What the function makes of a request for ``uri``."""
    context = quickjs.Context()
    context.eval(WORLD % json.dumps(pointers) + SOURCE.read_text().replace("import cf from 'cloudfront';", ""))
    event = json.dumps({"request": {"uri": uri, "headers": {}}})
    context.eval(f"let out; handler({event}).then(found => {{ out = JSON.stringify(found); }});")
    while context.execute_pending_job():
        pass
    found: dict[str, Any] = json.loads(context.eval("out"))
    return found


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        ("/", "/index.html"),
        ("/events/42", "/index.html"),
        ("/a.b/seats", "/index.html"),
        ("/robots.txt", "/robots.txt"),
        ("/assets/app.1f2e.js", "/assets/app.1f2e.js"),
    ],
)
def test_a_page_is_the_index_and_a_file_itself_both_of_the_current_release(asked: str, got: str) -> None:
    assert answer(asked, {"current": NAME})["uri"] == f"/releases/{NAME}{got}"


def test_moving_the_pointer_moves_every_path_at_once() -> None:
    assert answer("/", {"current": "next"})["uri"] == "/releases/next/index.html"


def test_files_of_any_release_are_found_under_their_own_name_whatever_the_pointer_says() -> None:
    assert answer("/releases/before/app.js", {})["uri"] == "/releases/before/app.js"


@pytest.mark.parametrize("pointers", [{}, {"current": ""}, {"current": "../private"}, {"current": "A" * 64}])
def test_without_a_release_that_can_be_one_visitors_are_told_to_come_back(pointers: dict[str, str]) -> None:
    found = answer("/", pointers)
    assert found["statusCode"] == 503
    assert found["headers"]["retry-after"]["value"] == "60"
    assert found["headers"]["cache-control"]["value"] == "no-store"


def test_the_rest_of_a_request_stays_as_it_was() -> None:
    assert answer("/", {"current": NAME})["headers"] == {}
