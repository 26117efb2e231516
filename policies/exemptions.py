"""Exemptions: who may break which rule where, why, and until when. `exemptions.yaml` is reviewed like code.

An expired one excuses nothing, so its violation is back; a pattern that would excuse a whole type or stack is refused,
and so is an exemption from a control that allows none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import yaml

from policies.catalogue import FOLDER

FILE = FOLDER / "exemptions.yaml"
# What no ticket can excuse: data open to the world, and credentials in the clear.
NONE_ALLOWED = frozenset(
    {
        "database-private",
        "broker-private",
        "bucket-not-public",
        "queue-not-public",
        "topic-not-public",
        "function-not-public",
        "no-credentials-in-manifests",
        "no-credentials-in-functions",
        "no-cluster-admin",
        "no-users",
    }
)
_FIELDS = ("policy", "urn", "owner", "reason", "ticket", "since", "expires")
_LONGEST_DAYS = 366


class Refused(ValueError):
    """The file of exemptions breaks a rule of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemption:
    """One line of the file. ``urn`` is a pattern that ends in a resource's own name."""

    policy: str
    urn: str
    owner: str
    reason: str
    ticket: str
    since: date
    expires: date


@dataclass(slots=True)
class Exemptions:
    """Those of a run, and which were used."""

    all: Sequence[Exemption]
    today: date
    used: dict[Exemption, list[str]] = field(default_factory=dict)

    def excuse(self, policy: str, urn: str) -> str | None:
        """Why this violation is excused, or None; every use is kept for the report."""
        for one in self.all:
            if one.policy == policy and one.expires >= self.today and fnmatchcase(urn, one.urn):
                self.used.setdefault(one, []).append(urn)
                return f"exempt until {one.expires} ({one.ticket}, {one.owner}): {one.reason}"
        return None

    def expired(self) -> list[Exemption]:
        """Those that excuse nothing any more."""
        return [one for one in self.all if one.expires < self.today]

    def unused(self) -> list[Exemption]:
        """Those that could be removed."""
        return [one for one in self.all if one not in self.used and one.expires >= self.today]


def read(text: str, today: date) -> Exemptions:
    """The exemptions in ``text``. Raises `Refused` with the line and the remedy."""
    return Exemptions([_exemption(item) for item in yaml.safe_load(text) or []], today)


@cache
def current() -> Exemptions:
    """Those of the reviewed file, read once for a run."""
    return read(FILE.read_text(encoding="utf-8"), date.today())


def _exemption(item: dict[str, Any]) -> Exemption:
    label = f"exemption {item.get('policy')!r} of {item.get('urn')!r}"
    lacking = [name for name in _FIELDS if not item.get(name)]
    if lacking or (unknown := set(item) - set(_FIELDS)):
        raise Refused(f"{label}: " + (f"{', '.join(lacking)} must be set" if lacking else f"{unknown} is not a field"))
    one = Exemption(**item)
    if not isinstance(one.expires, date) or not isinstance(one.since, date):
        raise Refused(f"{label}: since and expires must be dates as 2026-12-31")
    if (one.expires - one.since).days > _LONGEST_DAYS:
        raise Refused(f"{label}: expires is {one.expires}, it must be within a year of since: somebody looks again")
    if one.policy in NONE_ALLOWED:
        raise Refused(f"{label}: this control allows no exemption; mend the resource")
    kind, _, name = one.urn.rpartition("::")
    # A literal type and at least three letters of a name: `*` for a stack, a type or a name is too wide.
    if not re.search(r"[a-z0-9.-]+:[\w./-]+:\w+$", kind) or len(re.sub(r"[*?\[\]]", "", name)) < 3:
        raise Refused(f"{label}: urn is too wide, it must end in a type and a name as *aws:sqs/queue:Queue::saga-*")
    return one
