"""A canary is judged against the stable release, against limits, and not at all without requests."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scripts.canary.verdict import Figures, Verdict, judge
from stacks.objectives import canary_spec

SPEC = canary_spec("booking")
BOOKINGS, SAGAS = (each.name for each in SPEC.business)
WELL = Figures(requests=200, errors=0, p90=0.02, p99=0.05, business={BOOKINGS: (1, 100), SAGAS: (0, 50)})


@pytest.mark.parametrize(
    ("canary", "verdict", "says"),
    [
        (WELL, Verdict.GOOD, "200 requests"),
        (replace(WELL, errors=10), Verdict.BAD, "5.00 % of its 200 answers are errors"),
        # Bad is bad, however few there were; one alone may be chance.
        (replace(WELL, requests=10, errors=2), Verdict.BAD, "20.00 %"),
        (replace(WELL, requests=60, errors=1), Verdict.HOLD, "one error"),
        (replace(WELL, requests=200, errors=2), Verdict.GOOD, "1.00 % errors"),
        (
            replace(WELL, p90=0.06),
            Verdict.BAD,
            "one in ten answers takes 0.060 s or more, with the stable release 0.020",
        ),
        (replace(WELL, p90=0.029), Verdict.GOOD, ""),
        (replace(WELL, p99=0.6), Verdict.BAD, "one in a hundred answers takes 0.600 s or more, above 0.5 s"),
        # Of fewer than two hundred it is one answer.
        (replace(WELL, requests=199, p99=0.6), Verdict.GOOD, ""),
        (replace(WELL, business={BOOKINGS: (60, 100)}), Verdict.BAD, "bookings that are refused: 60 %"),
        (replace(WELL, business={BOOKINGS: (9, 9)}), Verdict.HOLD, "bookings that are refused: fewer than 10"),
        (
            replace(WELL, business={BOOKINGS: (0, 50), SAGAS: (6, 60)}),
            Verdict.BAD,
            "orders that wait for a person: 10 %, at most 5 %",
        ),
        (replace(WELL, requests=49), Verdict.HOLD, "49 of 50 requests"),
        (Figures(), Verdict.HOLD, "0 of 50 requests"),
    ],
)
def test_a_canary_is_judged(canary: Figures, verdict: Verdict, says: str) -> None:
    found = judge(SPEC, canary, WELL)
    assert found.verdict is verdict
    assert says in "; ".join(found.reasons)


def test_a_service_that_is_ill_as_a_whole_ends_no_canary_by_its_slowness_or_its_bookings() -> None:
    ill = replace(WELL, p90=0.4, p99=0.9, business={BOOKINGS: (50, 100)})
    assert judge(SPEC, ill, ill).verdict is Verdict.GOOD


def test_noise_of_milliseconds_is_no_slowness() -> None:
    fast = replace(WELL, p90=0.004)
    assert judge(SPEC, replace(fast, p90=0.013), fast).verdict is Verdict.GOOD
