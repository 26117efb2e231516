"""The worst comes first, and what cannot be seen is not called good."""

from __future__ import annotations

import pytest

from scripts.oncall.gamedays import GAMEDAYS, GameDay, Result
from scripts.oncall.lights import Light, State, ordered, worst
from scripts.oncall.report import table
from scripts.runbooks import all_of_them


def light(state: State, part: str = "part", name: str = "name") -> Light:
    return Light(part=part, name=name, state=state, detail="")


@pytest.mark.parametrize(
    ("states", "all_in_all"),
    [
        ([], State.UNKNOWN),
        ([State.GOOD, State.GOOD], State.GOOD),
        ([State.GOOD, State.UNKNOWN], State.UNKNOWN),
        ([State.UNKNOWN, State.WARN], State.WARN),
        ([State.WARN, State.BAD, State.GOOD], State.BAD),
    ],
)
def test_all_in_all_it_is_as_the_worst(states: list[State], all_in_all: State) -> None:
    assert worst([light(state) for state in states]) is all_in_all


def test_parts_keep_their_order_and_within_them_the_worst_is_first() -> None:
    found = [light(State.GOOD, "b", "x"), light(State.BAD, "a", "y"), light(State.BAD, "b", "z")]
    assert [each.name for each in ordered(found)] == ["z", "x", "y"]


@pytest.mark.parametrize("day", GAMEDAYS, ids=lambda day: day.name)
def test_the_alarm_of_a_game_day_exists_and_leads_to_its_runbook(day: GameDay) -> None:
    found = next(each for each in all_of_them() if each.name == day.runbook)
    assert found.acts
    assert any(alarm.startswith(day.alarm) for alarm in found.alarms)


def test_what_a_game_day_measured_is_a_row() -> None:
    result = Result(
        name="x", about="It breaks.", alarm="a", runbook="r", to_alarm=1.4, to_mended=20, to_clear=0, actions=3
    )
    assert table([result]).splitlines()[-1] == "| It breaks. | `a` | [r](../runbooks/r.md) | 3 | 1 | 20 | 0 |"
