"""For each runbook the fault that it is for, with two changes at least to be made: a fixture named as the runbook is.

A new one is added to `tests/runbooks/conftest.py`; a test notices when one is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.runbooks.bench import Bench


@dataclass(frozen=True)
class Fault:
    """``state`` is what a dry run leaves as it is, ``mended`` whether the fault is gone; no audit has ``secrets``."""

    bench: Bench
    state: Callable[[], Any]
    mended: Callable[[], bool]
    secrets: tuple[str, ...] = ()
