"""Stripe's own mock, which knows Stripe's OpenAPI document: for tests of the form of our requests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scripts.toolchain import golang

VERSION = "0.203.0"
_NEED_GIB = 1


def obtain(say: Callable[[str], None]) -> Path:
    """The server's program. Raises CannotObtain."""
    return golang.program("stripe-mock", VERSION, "github.com/stripe/stripe-mock", say, need_gib=_NEED_GIB)
