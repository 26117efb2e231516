"""Types that one call makes, and what their tables share."""

from __future__ import annotations

from typing import Any

from scripts.local.cloud.table import Call, Row


def simple(token: str, service: str, method: str, id: Any, **more: Any) -> Row:
    """A type with one call to make it; by default any change but of its name is made in place."""
    return Row(
        token=token,
        service=service,
        create=Call(method, more.pop("params", {}), uses=more.pop("uses", ())),
        id=id,
        name=more.pop("name", None),
        **more,
    )
