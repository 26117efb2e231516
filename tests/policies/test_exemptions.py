"""What an exemption may be, and when it ends."""

from __future__ import annotations

from datetime import date

import pytest

from policies import exemptions
from policies.packs import RULES

QUEUE = "urn:pulumi:dev::p::aws:sqs/queue:Queue::saga-booking"


def line(**changes: str) -> str:
    """One exemption as the file has it."""
    given = {
        "policy": "queue-encrypted",
        "urn": '"*aws:sqs/queue:Queue::saga-*"',
        "owner": "team",
        "reason": "why",
        "ticket": "T-1",
        "since": "2026-01-01",
        "expires": "2026-06-01",
        **changes,
    }
    return "- " + "\n  ".join(f"{key}: {value}" for key, value in given.items() if value)


def test_it_excuses_its_policy_of_its_resources_until_its_last_day() -> None:
    read = exemptions.read(line(), date(2026, 6, 1))
    assert "exempt until 2026-06-01" in str(read.excuse("queue-encrypted", QUEUE))
    assert read.excuse("queue-encrypted", QUEUE.replace("saga", "other")) is None
    assert read.excuse("queue-not-public", QUEUE) is None
    assert list(read.used.values()) == [[QUEUE]]


def test_an_expired_one_excuses_nothing() -> None:
    read = exemptions.read(line(), date(2026, 6, 2))
    assert read.excuse("queue-encrypted", QUEUE) is None
    assert len(read.expired()) == 1
    assert read.unused() == []


def test_one_that_is_not_used_is_named() -> None:
    assert len(exemptions.read(line(), date(2026, 6, 1)).unused()) == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"owner": ""}, "owner must be set"),
        ({"ticket": "", "reason": ""}, "reason, ticket must be set"),
        ({"more": "x"}, "is not a field"),
        ({"expires": "soon"}, "must be dates"),
        ({"expires": "2027-06-01"}, "must be within a year"),
        ({"policy": "database-private"}, "allows no exemption"),
        ({"urn": '"*"'}, "too wide"),
        ({"urn": '"*aws:sqs/queue:Queue::*"'}, "too wide"),
        ({"urn": '"*::saga-booking"'}, "too wide"),
        ({"urn": '"*:*/*:*::saga-booking"'}, "too wide"),
    ],
)
def test_what_it_may_not_be_is_refused_with_the_remedy(changes: dict[str, str], says: str) -> None:
    with pytest.raises(exemptions.Refused, match=says):
        exemptions.read(line(**changes), date(2026, 6, 1))


def test_policies_without_exemption_exist() -> None:
    assert {rule.name for rule in RULES} >= exemptions.NONE_ALLOWED
