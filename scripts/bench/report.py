"""What was measured, and how it is shown: medians, and their ratio to the floor of the same run."""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

Sample = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Series:
    """Repeated measurements of one thing, in the order in which they were taken."""

    name: str
    what: str
    samples: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median: one repeat that something else disturbed does not move it."""
        return median(self.samples)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Measured against its floor, both in ``unit``; ``better`` says which direction is good."""

    measured: Series
    floor: Series
    unit: str
    better: str

    @property
    def ratio(self) -> float:
        """Measured by floor."""
        return self.measured.median / self.floor.median

    def as_dict(self) -> dict[str, Any]:
        """Everything, for a script: samples, medians, ratio."""
        sides = {
            role: {"name": series.name, "what": series.what, "samples": series.samples, "median": series.median}
            for role, series in (("measured", self.measured), ("floor", self.floor))
        }
        return {**sides, "unit": self.unit, "better": self.better, "ratio": self.ratio}


def interleaved(arms: Mapping[str, Sample], repeats: int, say: Callable[[str], None]) -> dict[str, tuple[float, ...]]:
    """``repeats`` measurements of each arm, one of each in turn, so that a machine that slows down slows all alike.

    Every other round goes backwards: no arm always follows the same one.
    """
    taken: dict[str, list[float]] = {name: [] for name in arms}
    for number in range(repeats):
        for name in list(arms)[:: 1 if number % 2 == 0 else -1]:
            say(f"{name}, {number + 1} of {repeats}")
            taken[name].append(arms[name]())
    return {name: tuple(samples) for name, samples in taken.items()}


def interpreter() -> dict[str, Any]:
    """Which Python measures and serves: an unoptimised build runs plain loops 1.7 times slower than Debian's."""
    # Debian builds with -O2 and link-time optimisation but strips the flag from CONFIG_ARGS.
    options = sysconfig.get_config_var("CONFIG_ARGS") or ""
    debian = os.path.realpath(sys.executable).startswith("/usr/bin/")
    return {
        "executable": os.path.realpath(sys.executable),
        "version": platform.python_version(),
        "optimised": debian or "--enable-optimizations" in options,
        "cores": os.cpu_count(),
    }


def table(comparisons: Sequence[Comparison]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows for people."""
    rows = [
        [
            found.measured.name,
            _shown(found.measured, found.unit),
            found.floor.name,
            _shown(found.floor, found.unit),
            f"{found.ratio:.2f}",
            f"{found.better}, {len(found.measured.samples)} repeats",
        ]
        for found in comparisons
    ]
    return ["measured", "median (least to most)", "floor", "median (least to most)", "ratio", "better is"], rows


def _shown(series: Series, unit: str) -> str:
    """The median with its unit, and the spread, which says how far to trust it."""
    least, most = (_figure(bound(series.samples)) for bound in (min, max))
    return f"{_figure(series.median)} {unit} ({least} to {most})"


def _figure(value: float) -> str:
    """Three significant digits below a thousand, whole numbers above."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
