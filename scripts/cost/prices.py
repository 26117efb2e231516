"""List prices of AWS, dated, from scripts/cost/prices.csv: on demand, in US dollars, in N. Virginia.

Other Regions cost more by about the factor in `REGIONS`, which is that of EC2's and RDS's general purpose instances: an
estimate of an estimate, and shown as such. Prices by use (traffic, requests, logs) are in no row.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path

READ = date(2026, 11, 24)
HOURS = 730
_FILE = Path(__file__).with_name("prices.csv")
REGIONS: Mapping[str, float] = {"us-east-1": 1.0, "eu-west-1": 1.08, "eu-west-3": 1.14, "eu-central-1": 1.15}
_A_MONTH: Mapping[str, float] = {"hour": HOURS, "vcpu-hour": HOURS, "month": 1, "gib-month": 1}


class NoPrice(LookupError):
    """Something that costs is in no row; the message says what to add."""


@cache
def _monthly() -> dict[str, float]:
    with _FILE.open(newline="") as file:
        return {row["key"]: float(row["usd"]) * _A_MONTH[row["unit"]] for row in csv.DictReader(file)}


def monthly(key: str, region: str) -> float:
    """US dollars a month for one of ``key``. Raises NoPrice."""
    if region not in REGIONS:
        raise NoPrice(f"Region {region!r} has no factor; add it to REGIONS in scripts/cost/prices.py")
    if key not in _monthly():
        raise NoPrice(f"{key} has no price; add it with its source to scripts/cost/prices.csv")
    return _monthly()[key] * REGIONS[region]
