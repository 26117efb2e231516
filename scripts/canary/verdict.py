"""Whether a canary is good: against the stable release in the same time, and against limits that hold for anybody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from components.canary_spec import HUNDREDTHS, Business, CanarySpec

# Seconds; what is less is the machine's doing.
_NOISE = 0.01
# One error alone, in so few requests, is chance: a second one is none.
_ERRORS = 2
# Fewer say nothing about what people came for.
_EVENTS = 10


class Verdict(StrEnum):
    """HOLD is when there is too little to judge by."""

    GOOD = "good"
    BAD = "bad"
    HOLD = "hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a release did in a time. Times are in seconds, None without an answer; ``business`` has how many were bad,
    of how many, by name.
    """

    requests: float = 0
    errors: float = 0
    p90: float | None = None
    p99: float | None = None
    business: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def error_percent(self) -> float:
        return 100 * self.errors / self.requests if self.requests else 0.0


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict, and in words what led to it."""

    verdict: Verdict
    reasons: Sequence[str]


def judge(spec: CanarySpec, canary: Figures, stable: Figures) -> Judged:
    """Judge both releases' figures of the same time; what is bad is bad, however few requests there were."""
    if reasons := [*_errors(spec, canary), *_slow(spec, canary, stable), *_business(spec, canary, stable)]:
        return Judged(Verdict.BAD, reasons)
    if canary.requests < spec.limits.requests:
        return Judged(Verdict.HOLD, [f"{canary.requests:.0f} of {spec.limits.requests} requests to judge by"])
    for each in spec.business:
        if each.by_track and _share(each, stable)[1] and not _share(each, canary)[1]:
            return Judged(Verdict.HOLD, [f"{each.name}: fewer than {_EVENTS} to judge by"])
    if canary.error_percent > spec.limits.error_percent:
        return Judged(Verdict.HOLD, ["one error: not enough to tell"])
    return Judged(Verdict.GOOD, [f"{canary.requests:.0f} requests, {canary.error_percent:.2f} % errors"])


def _errors(spec: CanarySpec, canary: Figures) -> Iterator[str]:
    limit = spec.limits.error_percent
    if canary.errors >= _ERRORS and canary.error_percent > limit:
        yield f"{canary.error_percent:.2f} % of its {canary.requests:.0f} answers are errors, above {limit} %"


def _slow(spec: CanarySpec, canary: Figures, stable: Figures) -> Iterator[str]:
    limits = spec.limits
    if canary.requests < limits.requests or canary.p99 is None or canary.p90 is None:
        return
    # When the stable release is as slow, it is not the canary's doing.
    if canary.requests >= HUNDREDTHS and canary.p99 > limits.p99_seconds >= (stable.p99 or 0.0):
        yield f"one in a hundred answers takes {canary.p99:.3f} s or more, above {limits.p99_seconds} s"
    if stable.p90 is not None and canary.p90 > limits.slower * stable.p90 and canary.p90 - stable.p90 > _NOISE:
        yield f"one in ten answers takes {canary.p90:.3f} s or more, with the stable release {stable.p90:.3f} s"


def _business(spec: CanarySpec, canary: Figures, stable: Figures) -> Iterator[str]:
    for each in spec.business:
        (ours, enough), (theirs, _) = _share(each, canary), _share(each, stable)
        most = theirs + each.most_percent if each.by_track else each.most_percent
        if enough and ours > most:
            against = f"with the stable release {theirs:.0f} %" if each.by_track else f"at most {most:.0f} % may be"
            yield f"{each.name}: {ours:.0f} %, {against}"


def _share(business: Business, figures: Figures) -> tuple[float, bool]:
    """In per cent, and whether there were enough to tell."""
    bad, of = figures.business.get(business.name, (0.0, 0.0))
    return (100 * bad / of if of else 0.0), of >= _EVENTS
