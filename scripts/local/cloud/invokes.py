"""Functions of the aws provider (data sources)."""

from __future__ import annotations

from collections.abc import Mapping

from scripts.local.cloud.backend import Properties
from scripts.local.cloud.session import Session


def invoke(
    token: str, arguments: Properties, session: Session, region: str, default_tags: Mapping[str, str]
) -> Properties:
    raise NotImplementedError(token)
