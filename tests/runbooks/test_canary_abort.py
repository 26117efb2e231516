"""Which canary is ended, and when everybody is really back with the stable release."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbooks import _kit as kit
from runbooks._kit.model import Exit
from runbooks.canary_abort import CANARY, STABLE, CanaryAbort
from tests.runbooks.bench import TERMS, Bench, outcomes
from tests.runbooks.faults.canary_abort import Canaries


@pytest.fixture
def bench(canaries: Canaries, tmp_path: Path) -> Bench:
    return Bench(CanaryAbort(patience=0), canaries.environment, tmp_path)


def test_it_shows_each_release_with_its_weight_its_pods_and_its_errors(canaries: Canaries, bench: Bench) -> None:
    canaries.create("booking", weight=50)
    canaries.requests("booking", CANARY, 200, minutes_ago=5)
    canaries.requests("booking", CANARY, 3, metric="HTTPCode_Target_5XX_Count", minutes_ago=5)
    canaries.requests("booking", CANARY, 9_000, minutes_ago=20)
    stable, canary = bench.engine().dry_run().findings[0]["rows"]
    assert (stable["weight"], stable["requests"], stable["errors_percent"]) == (949, 0, None)
    assert (canary["weight"], canary["requests"], canary["errors_percent"]) == (50, 200, 1.5)
    assert canary["healthy"] == "1 of 1"


def test_canaries_at_rest_are_left_as_they_are(canaries: Canaries, bench: Bench) -> None:
    canaries.create("booking")
    canaries.hold("booking", "not JSON")
    assert bench.engine().dry_run().actions == []
    assert bench.engine().verify().exit is Exit.DONE


def test_one_that_is_named_ends_at_a_share_of_nothing_too_because_visitors_stick_to_it(
    canaries: Canaries, bench: Bench
) -> None:
    canaries.create("booking")
    assert bench.given(service=["booking"]).applied().exit is Exit.DONE
    assert canaries.leads_to("booking") == {STABLE: 1}
    # Nobody held it, so its record stays.
    assert canaries.lease("booking") == {"ended": "never started"}


def test_one_that_is_held_and_gets_nothing_yet_is_ended_before_it_does(canaries: Canaries, bench: Bench) -> None:
    canaries.create("booking")
    canaries.held("booking")
    assert bench.applied().exit is Exit.DONE
    assert canaries.lease("booking")["weights"] == {STABLE: 999, CANARY: 0}
    assert canaries.leads_to("booking") == {STABLE: 1}


def test_a_script_that_goes_on_meanwhile_keeps_nobody_from_ending_what_was_read(
    canaries: Canaries, bench: Bench
) -> None:
    canaries.create("booking", weight=50)
    canaries.held("booking", minutes=1)
    plan = bench.planned()
    known = canaries.known["booking"]
    canaries.weigh("booking", {known[STABLE]: 500, known[CANARY]: 499})
    canaries.held("booking", minutes=2)
    report = bench.applied(plan)
    assert report.exit is Exit.DONE
    assert report.actions[0]["result"] == {"weights": {STABLE: 500, CANARY: 499}}


def test_one_that_the_guard_has_taken_back_by_then_is_left(canaries: Canaries, bench: Bench) -> None:
    canaries.create("booking", weight=50)
    plan = bench.planned()
    canaries.weigh("booking", {canaries.known["booking"][STABLE]: 1})
    canaries.hold("booking", {"ended": "2026-11-28T03:00:00+00:00", "why": "alarm"})
    assert list(outcomes(bench.applied(plan)).values()) == ["nothing to do any more"]
    assert canaries.lease("booking")["why"] == "alarm"


def test_nobody_is_led_to_a_stable_release_without_a_healthy_pod(canaries: Canaries, bench: Bench) -> None:
    canaries.create("booking", weight=50)
    canaries.empty("booking", STABLE)
    with pytest.raises(kit.Refused, match="the stable release of booking has no healthy pod"):
        bench.planned()
    assert canaries.leads_to("booking")[CANARY] == 50


def test_requests_that_still_come_to_the_canary_fail_the_verification_and_old_ones_do_not(
    canaries: Canaries, bench: Bench
) -> None:
    canaries.create("booking", weight=50)
    canaries.requests("booking", CANARY, 4, minutes_ago=6)
    assert bench.applied().exit is Exit.DONE
    canaries.requests("booking", CANARY, 7)
    report = bench.engine().verify()
    assert report.exit is Exit.FAILED
    assert "7 in three minutes" in report.verified[1]["detail"]


def test_an_ended_canary_is_not_started_again_by_a_rollback(canaries: Canaries, bench: Bench) -> None:
    canaries.create("booking", weight=50)
    plan = bench.planned()
    bench.applied(plan)
    report = bench.engine().rollback(plan, TERMS)
    assert report.outcome == "nothing to take back"
    assert "by daylight" in report.actions[0]["no_undo"]
    assert canaries.leads_to("booking") == {STABLE: 1}


def test_a_service_without_a_canary_is_refused_with_those_that_have_one(canaries: Canaries, bench: Bench) -> None:
    canaries.create("booking")
    with pytest.raises(kit.Refused, match="no canary is of identity; services with one are booking"):
        bench.given(service=["identity"]).planned()
