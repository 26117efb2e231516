"""Collections, synonyms and keys on a real Typesense: applied twice, added to, and refused where data would be lost."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from components.search_schema import EVENTS, Field, schema
from scripts.local.servers import typesense
from scripts.local.servers.typesense import Typesense
from services.setup import search
from services.setup.documents import Refused
from services.setup.search import SearchSettings

pytestmark = pytest.mark.timeout(300)
KEYS = {"reading": ["reading-now", "reading-next", ""], "writing": ["writing-now"]}
EVENT = {"id": "1", "name": "Rock gig", "organiser_id": "o", "starts_at": 1, "on_sale": True}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Typesense]:
    with typesense.running(tmp_path_factory.mktemp("typesense"), "administrator") as made:
        yield made


@pytest.fixture
def events() -> Any:
    """A collection of the test's own."""
    return replace(EVENTS, name=f"events_{uuid.uuid4().hex[:8]}")


def apply(server: Typesense, *collections: Any, keys: dict[str, list[str]] = KEYS, **changed: Any) -> dict[str, int]:
    return search.apply(
        SearchSettings(
            search_url=server.url,
            search_administrator_key=SecretStr(server.key),
            search_schema=json.dumps(changed or schema(collections)),
            search_keys=SecretStr(json.dumps(keys)),
        )
    )


def client(server: Typesense, key: str) -> httpx.Client:
    return httpx.Client(base_url=server.url, headers={"X-TYPESENSE-API-KEY": key})


def test_it_is_accepted_and_a_second_time_nothing_is_left_to_do(server: Typesense, events: Any) -> None:
    assert apply(server, events)["collections"] == 1
    assert apply(server, events) == {"collections": 0, "fields": 0, "synonyms": 0, "keys": 0}


def test_an_event_is_found_by_a_synonym_and_by_the_middle_of_a_word(server: Typesense, events: Any) -> None:
    apply(server, events)
    documents = f"collections/{events.name}/documents"
    with client(server, "writing-now") as writing, client(server, "reading-next") as reading:
        writing.post(documents, json=EVENT).raise_for_status()
        for asked in ({"q": "concert"}, {"q": "oc", "infix": "always"}):
            assert reading.get(f"{documents}/search", params={**asked, "query_by": "name"}).json()["found"] == 1, asked
        assert reading.post(documents, json=EVENT).is_error


def test_a_new_optional_field_is_added_and_what_is_there_stays(server: Typesense, events: Any) -> None:
    apply(server, events)
    with client(server, "writing-now") as writing:
        writing.post(f"collections/{events.name}/documents", json=EVENT).raise_for_status()
        more = replace(events, fields=(*events.fields, Field(name="age", type="int32", optional=True)))
        assert apply(server, more)["fields"] == 1
        assert apply(server, more)["fields"] == 0
        assert writing.get(f"collections/{events.name}/documents/1").json()["name"] == "Rock gig"


@pytest.mark.parametrize(
    ("field", "says"),
    [
        (Field(name="city", type="int32", optional=True), "city: type is string, wanted is int32"),
        (Field(name="city", type="string", facet=False, optional=True), "city: facet is True, wanted is False"),
    ],
)
def test_a_changed_field_is_refused_with_what_to_do(server: Typesense, events: Any, field: Field, says: str) -> None:
    apply(server, events)
    changed = replace(events, fields=tuple(field if each.name == "city" else each for each in events.fields))
    with pytest.raises(Refused, match=f"{says}.*Describe a field or a collection of a new name beside it"):
        apply(server, changed)


def test_a_new_field_that_documents_lack_is_refused(server: Typesense, events: Any) -> None:
    apply(server, events)
    with pytest.raises(Refused, match="gets age, which its documents lack; make new fields optional"):
        apply(server, replace(events, fields=(*events.fields, Field(name="age", type="int32"))))


def test_a_synonym_that_is_no_longer_described_is_gone(server: Typesense, events: Any) -> None:
    apply(server, events)
    apply(server, replace(events, synonyms=(("kids", "children"),)))
    with client(server, server.key) as administrator:
        found = administrator.get(f"collections/{events.name}/synonyms").json()["synonyms"]
    assert [each["synonyms"] for each in found] == [["kids", "children"]]


def test_a_rotated_key_is_known_before_and_the_one_before_last_is_not(server: Typesense, events: Any) -> None:
    apply(server, events, keys={"reading": ["second", "third", "first"], "writing": []})
    with client(server, "first") as before, client(server, "third") as following:
        path = f"collections/{events.name}/documents/search?q=*"
        assert before.get(path).is_success
        apply(server, events, keys={"reading": ["third", "fourth", "second"], "writing": []})
        assert following.get(path).is_success
        assert before.get(path).is_error


def test_what_typesense_refuses_is_named(server: Typesense) -> None:
    odd = {"name": "odd", "fields": [{"name": "x", "type": "colour"}], "default_sorting_field": ""}
    with pytest.raises(Refused, match="POST collections: 400"):
        apply(server, collections=[{"schema": odd, "synonyms": {}}])
