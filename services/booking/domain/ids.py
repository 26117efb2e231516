"""Ids that are functions of what they stand for: the same in every process and at every attempt."""

from __future__ import annotations

import uuid
from typing import Final

_NAMESPACE: Final = uuid.UUID("6f0a1a5e-5a0f-5f5b-9a53-2f0ad0d5c9c1")


def derived(kind: str, *parts: object) -> uuid.UUID:
    """The id of the ``kind`` of thing that ``parts`` determine."""
    return uuid.uuid5(_NAMESPACE, "\n".join(map(str, (kind, *parts))))
