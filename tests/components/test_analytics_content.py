"""Dashboards that are shown outside show nobody else's figures."""

from dataclasses import replace
from typing import Any

import pytest

from components.analytics_content import DASHBOARDS, PAYMENTS, SALES, TAKINGS, content

ORGANISER = DASHBOARDS[0]


def test_the_organisers_dashboard_is_about_one_organiser_throughout() -> None:
    assert ORGANISER.embedded
    assert all(question.parameters == ("organiser",) for question, _ in ORGANISER.cards)


def test_only_that_one_is_shown_outside() -> None:
    assert [dashboard.name for dashboard in DASHBOARDS if dashboard.embedded] == [ORGANISER.name]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"locked": ()}, "leaves organiser to its reader, who could ask for anybody's figures: lock it"),
        ({"cards": ((SALES, 24), (PAYMENTS, 24))}, "with Payments by day, which is about everybody"),
        ({"locked": ("organiser", "city")}, "locks city, which no question of it asks for"),
        ({"cards": ((SALES, 25),)}, "outside of its grid"),
    ],
)
def test_a_dashboard_that_would_leak_is_refused(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        replace(ORGANISER, **changed)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"query": "DELETE FROM events"}, "is no single SELECT"),
        ({"query": "SELECT 1; DROP TABLE events"}, "is no single SELECT"),
        ({"metrics": ()}, "without dimensions or metrics"),
    ],
)
def test_a_question_that_does_more_than_ask_is_refused(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        replace(SALES, **changed)


def test_cards_stand_beside_each_other_until_the_row_is_full() -> None:
    [organiser, _] = content()["dashboards"]
    assert [(card["question"], card["row"], card["col"]) for card in organiser["cards"]] == [
        (SALES.name, 0, 0),
        (TAKINGS.name, 8, 0),
        ("Orders by outcome", 8, 16),
    ]
