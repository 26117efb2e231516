"""What a game day expects of its runbook: to mend, or to say that nobody but AWS can."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest

from runbooks._kit.model import Exit
from scripts.oncall import gamedays
from scripts.oncall.gamedays import GameDay, Missed

DAY = GameDay(name="broker-down", alarm="EventsStalled", runbook="broker_partition", waits=True)
Answers = Callable[..., list[str]]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Has the runbook end with these, in turn; gives what happened, to which a test may add."""

    def having(*exits: Exit) -> list[str]:
        happened, left = [], list(exits)

        def started(_: GameDay, *options: str) -> subprocess.CompletedProcess[str]:
            happened.append(" ".join(options) or "dry run")
            said = json.dumps({"outcome": "as it is", "actions": [], "id": "1"})
            return subprocess.CompletedProcess([], left.pop(0), said, "")

        monkeypatch.setattr(gamedays, "_started", started)
        return happened

    return having


def test_a_fault_that_only_aws_mends_is_over_once_the_runbook_has_refused_and_is_verified_then(
    answers: Answers,
) -> None:
    happened = answers(Exit.REFUSED, Exit.DONE)
    assert gamedays._waited(DAY, lambda: happened.append("over")) == []
    assert happened == ["dry run", "over", "--verify"]


def test_a_runbook_that_would_act_while_it_can_only_wait_is_missed(answers: Answers) -> None:
    happened = answers(Exit.DONE)
    with pytest.raises(Missed, match=r"should say that nothing helps but to wait; it ended with 0: as it is"):
        gamedays._waited(DAY, lambda: happened.append("over"))
    assert happened == ["dry run"]


def test_a_runbook_that_finds_nothing_to_do_while_its_alarm_rings_is_missed(answers: Answers) -> None:
    answers(Exit.DONE)
    with pytest.raises(Missed, match="found nothing to do"):
        gamedays._mend(DAY)
