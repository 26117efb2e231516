"""docs/privacy.md says of every table what the services do with it, and names nothing else."""

from __future__ import annotations

import re
from datetime import timedelta
from types import ModuleType

import pytest

from services.booking import retention as booking
from services.common import retention as common
from services.notification import retention as notification
from services.payment import retention as payment
from tests.conformance.runbook_names import ROOT

DOCUMENT = (ROOT / "docs" / "privacy.md").read_text()
SERVICES = {"Booking": booking, "Payment": payment, "Notification": notification}


def section(title: str) -> str:
    """What stands under a heading, up to the next one of any level."""
    return re.split(r"^#+ ", DOCUMENT.partition(f"# {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def rows(title: str) -> list[str]:
    """The rows of the table there, without its head."""
    return [line for line in section(title).splitlines() if line.startswith("| `")]


def spelt(age: timedelta) -> str:
    hours = round(age.total_seconds() / 3600)
    number, unit = (age.days, "day") if hours % 24 == 0 else (hours, "hour")
    return f"{number} {unit}{'s' if number > 1 else ''}"


def removed(rule: common.Rule) -> str:
    return f"| `{rule.name}` | {rule.rows} | {spelt(rule.age)}, {spelt(rule.least)} at least | {rule.why} |"


def kept(tables: common.Kept) -> str:
    return f"| {', '.join(f'`{table}`' for table in tables.tables)} | {tables.until} | {tables.why} |"


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_removed_and_what_is_kept_is_what_the_service_does(service: str) -> None:
    module: ModuleType = SERVICES[service]
    own = [removed(rule) for rule in module.RULES if rule not in common.MESSAGING]
    assert rows(service) == [*own, *(kept(tables) for tables in module.KEPT if tables is not common.ALWAYS)]


def test_what_every_service_removes_is_what_each_of_them_has() -> None:
    assert rows("Every service") == [*map(removed, common.MESSAGING), kept(common.ALWAYS)]
    for module in SERVICES.values():
        assert set(common.MESSAGING) <= set(module.RULES)
