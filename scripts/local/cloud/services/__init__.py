"""The tables: one module per AWS service, each with `ROWS`."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache

from scripts.local.cloud import sdk
from scripts.local.cloud.backend import Refused
from scripts.local.cloud.table import Row


@cache
def rows() -> Mapping[str, Row]:
    """Every row by Pulumi type token."""
    found: dict[str, Row] = {}
    for module in pkgutil.iter_modules(__path__):
        for row in getattr(importlib.import_module(f"{__name__}.{module.name}"), "ROWS", ()):
            found[row.token] = row
    return found


def find(token: str) -> Row:
    """The row of a type; raises Refused, which says how one is added."""
    known = rows()
    if token in known:
        return known[token]
    try:
        sdk.model(token)
    except sdk.NoSuchType as error:
        near = difflib.get_close_matches(token, known, 3)
        raise Refused("", f"{error}; similar types: {', '.join(near) or 'none'}") from None
    module = token.split(":")[1].split("/")[0]
    raise Refused(
        "",
        f"{token} is not in the simulated cloud yet: add a Row for it to scripts/local/cloud/services/{module}.py "
        "(create, read, delete and what a change replaces) and run `python -m scripts.local.cloud.coverage`",
    )
