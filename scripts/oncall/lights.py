"""What the person on call looks at: lights, each with what it is about, and the runbook where one helps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """GOOD, somebody should look (WARN), somebody must act (BAD), or nobody can tell (UNKNOWN)."""

    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    UNKNOWN = "unknown"


# From the worst to the best: what cannot be told is worse than good and better than anything known to be wrong.
_WORST = (State.BAD, State.WARN, State.UNKNOWN, State.GOOD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """One line of the screen. ``part`` is what a group of lights is about."""

    part: str
    name: str
    state: State
    detail: str
    runbook: str = ""


def worst(lights: Sequence[Light]) -> State:
    """The state of all together; UNKNOWN when there is none."""
    return min((light.state for light in lights), key=_WORST.index, default=State.UNKNOWN)


def ordered(lights: Sequence[Light]) -> list[Light]:
    """Worst first within each part, parts in the order in which they came."""
    parts = list(dict.fromkeys(light.part for light in lights))
    return sorted(lights, key=lambda each: (parts.index(each.part), _WORST.index(each.state), each.name))
