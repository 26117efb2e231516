"""What a canary is, said once: its two tracks, its steps, who may ask for it, and when it is bad.

Both ways to carry it out are made of this: an ALB rule (components/canary.py), and Argo Rollouts over a Gateway API
route (components/canary_rollout.py). It refuses anything but two tracks: with a third nobody could say which one is
compared with which, and a rollback would have a choice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

STABLE, CANARY = "stable", "canary"
TRACKS = (STABLE, CANARY)
# Elastic Load Balancing API Reference, "TargetGroupTuple" and "TargetGroupStickinessConfig": weights, seconds.
WEIGHTS, _STICKY = range(0, 1000), range(1, 604_801)
_WHOLE = 1000
# Of so many requests two are the slowest hundredth: of fewer it is one alone, and that is chance.
HUNDREDTHS = 200
Dimensions = Mapping[str, pulumi.Input[str]]
_HEADER, _COOKIE = re.compile(r"[A-Za-z0-9-]{1,40}"), re.compile(r"[a-z][a-z0-9_-]{0,39}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The canary's share in thousandths, and how long it is looked at before the next step."""

    weight: int
    seconds: int

    def __post_init__(self) -> None:
        if self.weight not in WEIGHTS or self.weight == 0:
            raise ValueError(
                f"step has weight {self.weight}; a canary gets 1 to {WEIGHTS.stop - 1} thousandths: promote it for more"
            )
        if self.seconds < 60:
            raise ValueError(f"step lasts {self.seconds} s; metrics come by the minute: 60 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The worst that a canary may do for two minutes running, once it has ``requests`` a minute to be judged by.

    Whatever the limits, nine in ten of its answers may not take ``slower`` times as long as the stable release's. What
    one in a hundred takes, in seconds, is judged of HUNDREDTHS requests or more.
    """

    error_percent: float = 1.0
    p99_seconds: float = 1.5
    slower: float = 2.0
    requests: int = 50

    def __post_init__(self) -> None:
        if not 0 < self.error_percent < 100:
            raise ValueError(f"error_percent is {self.error_percent}; it is above 0 and below 100: 1 is usual")
        if self.slower <= 1:
            raise ValueError(f"slower is {self.slower}; it is above 1: 2 is twice as slow as the stable release")
        if self.p99_seconds <= 0 or self.requests < 1:
            raise ValueError(
                f"p99_seconds is {self.p99_seconds} and requests {self.requests}; both are above 0: without requests "
                "there is nothing to judge"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Business:
    """What people came for, and whether they got it, as Prometheus counts it: ``bad`` of ``all`` of a counter's series,
    both in the form of label matchers, in per cent.

    ``most_percent`` is by how much a canary may be worse than the stable release. What is not ``by_track`` happens in
    processes that have no canary: then it is the most that may be bad at all, while the canary runs.
    """

    name: str
    counter: str
    all: str
    bad: str
    most_percent: float
    by_track: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.most_percent < 100:
            raise ValueError(f"{self.name}: most_percent is {self.most_percent}; it is above 0 and below 100")

    def counted(self, which: str, labels: str, seconds: int) -> str:
        """The query for how many there were in the last ``seconds``; ``labels`` choose the processes."""
        matchers = ",".join(filter(None, (labels, which)))
        return f"sum(increase({self.counter}{{{matchers}}}[{seconds}s]))"


@dataclass(frozen=True, slots=True, kw_only=True)
class CanarySpec:
    """``header: always`` and ``cookie=always`` lead to the canary, also while its share is nothing.

    A step without enough requests to be judged by waits; after ``deadline_seconds`` of it the canary is taken back.
    """

    service: str
    port: int
    tracks: Sequence[str] = TRACKS
    steps: Sequence[Step] = (
        Step(weight=1, seconds=120),
        Step(weight=50, seconds=300),
        Step(weight=250, seconds=600),
        Step(weight=500, seconds=600),
    )
    limits: Limits = Limits()
    business: Sequence[Business] = ()
    deadline_seconds: int = 1800
    header: str = "X-Canary"
    cookie: str = CANARY
    sticky_seconds: int = 600

    def __post_init__(self) -> None:
        if tuple(self.tracks) != TRACKS:
            raise ValueError(
                f"tracks are {', '.join(self.tracks) or 'none'}; a canary has exactly two target groups, "
                f"{STABLE} and {CANARY}: compare a third one in a canary of its own"
            )
        weights = [step.weight for step in self.steps]
        if not weights or weights != sorted(set(weights)):
            raise ValueError(f"steps have weights {weights}; there is one at least, and each is larger than the last")
        if self.sticky_seconds not in _STICKY:
            raise ValueError(
                f"sticky_seconds is {self.sticky_seconds}; ALB takes {_STICKY.start} to {_STICKY.stop - 1}: 600 is "
                "about one purchase"
            )
        if not _HEADER.fullmatch(self.header) or not _COOKIE.fullmatch(self.cookie):
            raise ValueError(
                f"header is {self.header!r} and cookie {self.cookie!r}; a header has letters, digits and dashes, a "
                "cookie small ones, and neither more than 40: name them like X-Canary and canary"
            )


def shares(canary: int) -> dict[str, int]:
    """The weights when the canary gets ``canary`` thousandths. Raises ValueError for what ALB refuses."""
    if canary not in WEIGHTS:
        raise ValueError(f"the canary's share is {canary}; ALB takes weights of {WEIGHTS.start} to {WEIGHTS.stop - 1}")
    return {STABLE: min(_WHOLE - canary, WEIGHTS.stop - 1), CANARY: canary}


def error_rate(limits: Limits, dimensions: Dimensions) -> list[dict[str, Any]]:
    """Errors in per cent of requests, as CloudWatch computes it; nothing while there are too few to be judged."""
    return [
        _computed("rate", f"IF(requests >= {limits.requests}, 100 * FILL(errors, 0) / requests)", "errors in per cent"),
        _metric("errors", "HTTPCode_Target_5XX_Count", "Sum", dimensions),
        _metric("requests", "RequestCount", "Sum", dimensions),
    ]


def slowest(limits: Limits, canary: Dimensions, stable: Dimensions) -> list[dict[str, Any]]:
    """Seconds that one in a hundred of a canary's answers takes; nothing while there are too few, or both are slow."""
    return [
        _computed(
            "slow",
            f"IF(requests >= {HUNDREDTHS}, IF(FILL(stable, 0) <= {limits.p99_seconds}, canary))",
            "seconds of one in a hundred answers",
        ),
        _metric("canary", "TargetResponseTime", "p99", canary),
        _metric("stable", "TargetResponseTime", "p99", stable),
        _metric("requests", "RequestCount", "Sum", canary),
    ]


def _computed(id: str, expression: str, label: str) -> dict[str, Any]:
    return {"id": id, "expression": expression, "label": label, "return_data": True}


def _metric(id: str, name: str, statistic: str, dimensions: Dimensions) -> dict[str, Any]:
    metric = {
        "namespace": "AWS/ApplicationELB",
        "metric_name": name,
        "dimensions": dict(dimensions),
        "stat": statistic,
        "period": 60,
    }
    return {"id": id, "return_data": False, "metric": metric}
