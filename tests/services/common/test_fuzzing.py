"""The fuzz tells what a service is made of from what it may say, and puts existing ids where ids are."""

from __future__ import annotations

import uuid

import pytest

from tests.services.fuzzing import INTERNAL, existing

KNOWN = {"holdId": [str(uuid.UUID(int=1))], "code": ["a-code"]}


@pytest.mark.parametrize(
    ("text", "internal"),
    [
        ("asyncpg.exceptions.DataError: invalid input for query argument $1", True),
        ('insert failed: INSERT INTO holds (id) VALUES ("x")', True),
        ("Traceback (most recent call last)", True),
        ("in services/booking/entrypoints/api.py", True),
        ("UnicodeEncodeError", True),
        ("You have no hold 00000000-0000-0000-0000-000000000001.", False),
        ("The Stripe-Signature does not fit this body.", False),
        ("Select a ticket type; update it or delete it.", False),
    ],
)
def test_what_a_service_is_made_of_is_recognised(text: str, internal: bool) -> None:
    assert bool(INTERNAL.search(text)) is internal


def test_an_id_is_replaced_by_one_that_exists_and_what_is_no_id_stays() -> None:
    asked = {"holdId": str(uuid.uuid4()), "code": "x", "other": str(uuid.UUID(int=2))}
    assert existing(asked, KNOWN, 0) == {**asked, "holdId": KNOWN["holdId"][0], "code": "a-code"}
    assert existing(asked, KNOWN, 1) == asked
    assert existing({"holdId": "no id"}, KNOWN, 0) == {"holdId": "no id"}
