"""Stripe's own mock, which knows Stripe's OpenAPI document: for tests of the form of our requests."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from scripts.toolchain import cache, golang

VERSION = "0.203.0"
_MODULE = Path(__file__).parent / "go" / "stripe_mock"
_NEED_GIB = 1


def obtain(say: Callable[[str], None]) -> Path:
    """The server's program. Raises CannotObtain."""

    def make(place: Path) -> None:
        module = shutil.copytree(_MODULE, place / "module")
        golang.build(module, "github.com/stripe/stripe-mock", place / "stripe-mock", "-s -w", say)
        shutil.rmtree(module)

    return cache.obtain("stripe-mock", VERSION, make, say, need_gib=_NEED_GIB) / "stripe-mock"
