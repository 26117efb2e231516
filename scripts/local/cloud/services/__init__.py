"""The tables: one module per AWS service, each with `ROWS`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache

from scripts.local.cloud.table import Row


@cache
def rows() -> Mapping[str, Row]:
    """Every row by Pulumi type token."""
    found: dict[str, Row] = {}
    for module in pkgutil.iter_modules(__path__):
        for row in getattr(importlib.import_module(f"{__name__}.{module.name}"), "ROWS", ()):
            found[row.token] = row
    return found
