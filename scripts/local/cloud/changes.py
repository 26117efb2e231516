"""The difference between two sets of inputs, as property paths."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from scripts.local.cloud.answers import same
from scripts.local.cloud.backend import UNKNOWN, Change, Properties


def differences(
    old: Properties, new: Properties, *, imported: Sequence[str] = (), ignore: Sequence[str] = ()
) -> dict[str, Change]:
    """Paths that differ. Inputs that only an import filled in are no difference when a program leaves them out."""
    found: dict[str, Change] = {}
    for name in sorted({*old, *new}):
        if name.startswith("__") or name in ignore:
            continue
        if name in imported and new.get(name) is None:
            continue
        found |= _compare(name, old.get(name), new.get(name))
    return {path: change for path, change in found.items() if bare(path) not in ignore and path not in ignore}


def top(path: str) -> str:
    """``ingress[0].fromPort`` → ``ingress``."""
    return re.split(r"[.\[]", path, maxsplit=1)[0]


def bare(path: str) -> str:
    """``ingress[0].fromPort`` → ``ingress.fromPort``."""
    return re.sub(r"\[\d+\]", "", path)


def _compare(path: str, old: Any, new: Any) -> dict[str, Change]:
    if _equal(old, new):
        return {}
    if old is None:
        return {path: Change.ADD}
    if new is None:
        return {path: Change.DELETE}
    if isinstance(old, dict) and isinstance(new, dict):
        found: dict[str, Change] = {}
        for key in sorted({*old, *new}):
            found |= _compare(f"{path}.{key}", old.get(key), new.get(key))
        return found
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        found = {}
        for i, (before, after) in enumerate(zip(old, new, strict=True)):
            found |= _compare(f"{path}[{i}]", before, after)
        return found
    return {path: Change.UPDATE}


def _equal(old: Any, new: Any) -> bool:
    if old is UNKNOWN or new is UNKNOWN:
        return old is new
    if (old is None) != (new is None):
        # An empty list or map that appears is no change; a false or a zero is one, as it may override a default.
        return (old if new is None else new) in ("", [], {})
    return same(old, new) and same(new, old)
