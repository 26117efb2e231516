"""What was released, when and by whom: the versions of the parameter that the stack writes (release_record.py)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from components.release_record import parameter_name


class NoRelease(RuntimeError):
    """The release that is asked for is not in the history."""


@dataclass(frozen=True, slots=True)
class Release:
    """``number`` counts the environment's releases, ``by`` is the role's session that made it: a workflow, a person."""

    number: int
    at: datetime
    by: str
    images: dict[str, str]
    saga: str


def history(ssm: Any, environment: str) -> list[Release]:
    """Every release that is remembered (Systems Manager keeps 100 versions), the newest first. Raises NoRelease."""
    pages = ssm.get_paginator("get_parameter_history").paginate(Name=parameter_name(environment))
    try:
        found = [_release(each) for page in pages for each in page["Parameters"]]
    except ssm.exceptions.ParameterNotFound as error:
        raise NoRelease(
            f"{environment} has no release yet: `eventctl up {environment} --apply` makes the first"
        ) from error
    return sorted(found, key=lambda release: -release.number)


def to_go_back_to(releases: Sequence[Release], number: int | None) -> Release:
    """Release ``number``, else the newest that had other images than now. Raises NoRelease, also for what runs."""
    now = releases[0]
    others = [each for each in releases if each.images != now.images]
    if number is None and others:
        return others[0]
    found = next((each for each in others if each.number == number), None)
    if found is None:
        known = ", ".join(str(each.number) for each in others) or "none"
        asked = f"release {number} is not among those with other images than now" if number else "nothing to go back to"
        raise NoRelease(f"{asked}; those are: {known}")
    return found


def _release(version: dict[str, Any]) -> Release:
    said = json.loads(version["Value"])
    by = version.get("LastModifiedUser", "").rsplit(":", 1)[-1]
    return Release(version["Version"], version["LastModifiedDate"], by, said["images"], said["saga"])
