"""The catalogue of controls: what each asks, of which types, how grave its breach is. `controls.csv` is its table."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
_SECURITY_HUB = "https://docs.aws.amazon.com/securityhub/latest/userguide"
_LINKS = {
    "CIS": "https://www.cisecurity.org/benchmark/amazon_web_services",
    "CKV": "https://www.checkov.io/5.Policy%20Index/all.html",
    "PSS": "https://kubernetes.io/docs/concepts/security/pod-security-standards/",
    "NSA": "https://kubernetes.io/docs/concepts/security/security-checklist/",
    "KSCORE": "https://github.com/zegl/kube-score/blob/master/README_CHECKS.md",
    "HOUSE": "https://docs.aws.amazon.com/wellarchitected/latest/security-pillar/welcome.html",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One row. ``key`` is how rules, waivers and reports name it: ``FSBP RDS.3``."""

    key: str
    service: str
    types: tuple[str, ...]
    title: str
    severity: str
    how: str

    @property
    def link(self) -> str:
        """The authority's page on it."""
        source, _, name = self.key.partition(" ")
        if source in _LINKS:
            return _LINKS[source]
        service = name.partition(".")[0].lower()
        return f"{_SECURITY_HUB}/{service}-controls.html#{name.lower().replace('.', '-')}"


@cache
def entries() -> dict[str, Entry]:
    """Every row by its key."""
    with (FOLDER / "controls.csv").open(encoding="utf-8", newline="") as file:
        return {entry.key: entry for entry in map(_entry, csv.DictReader(file))}


@cache
def waivers() -> dict[str, str]:
    """The reason for each row that no rule decides, by its key."""
    with (FOLDER / "waivers.csv").open(encoding="utf-8", newline="") as file:
        return {row["id"]: row["reason"] for row in csv.DictReader(file)}


def _entry(row: dict[str, str]) -> Entry:
    return Entry(
        f"{row['source']} {row['id'].removeprefix(row['source'] + '/')}",
        row["service"],
        tuple(row["pulumi_resource_type"].split("|")),
        row["title"],
        row["severity"],
        row["how_to_decide"],
    )
