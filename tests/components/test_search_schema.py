"""What a collection may not be."""

from dataclasses import replace
from typing import Any

import pytest

from components.search_schema import COLLECTIONS, EVENTS, Field, schema


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"order": "name"}, "events is ordered by 'name'; that is a field with a number that every document has"),
        ({"order": "price_from"}, "ordered by 'price_from'"),
        ({"order": "nothing"}, "ordered by 'nothing'"),
        ({"fields": (*EVENTS.fields, Field(name="name", type="string"))}, "has name more than once"),
        ({"synonyms": (("gig",),)}, r"synonyms \['gig'\]; two or more"),
        ({"synonyms": (("gig", "gig"),)}, "two or more different words"),
    ],
)
def test_a_collection_that_typesense_would_refuse_half_way_is_refused(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        replace(EVENTS, **changed)


def test_a_type_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="age is of type 'date'; Typesense has string"):
        Field(name="age", type="date")


def test_every_collection_is_described_with_its_synonyms_by_name() -> None:
    described = schema()["collections"]
    assert [each["schema"]["name"] for each in described] == [collection.name for collection in COLLECTIONS]
    assert described[0]["synonyms"]["concert"] == {"synonyms": ["concert", "gig", "live show"]}
