"""Which addresses the firewall may be told to refuse, for how long, and what others write meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runbooks import _kit as kit
from runbooks._kit.model import Exit
from runbooks.waf_block import WafBlock
from tests.runbooks.bench import TERMS, Bench
from tests.runbooks.faults.waf_block import BY_HAND, OVER, Firewall


@pytest.fixture
def bench(firewall: Firewall, tmp_path: Path) -> Bench:
    return Bench(WafBlock(), firewall.environment, tmp_path)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("10.1.2.3", "is no public network"),
        ("192.168.0.0/24", "is no public network"),
        ("fd00::1", "is no public network"),
        ("81.0.0.0/15", "is wider than /16"),
        ("2a02::/31", "is wider than /32"),
        ("81.2.69.142/24", "has host bits set"),
        ("nobody", "is no address or network"),
        ("130.176.1.1", "CloudFront's own"),
        ("175.16.199.7", "let in by the allow list"),
    ],
)
def test_what_must_not_be_refused_is_not_planned(bench: Bench, address: str, says: str) -> None:
    with pytest.raises(kit.Refused, match=says):
        bench.given(address=[address]).planned()


def test_the_dry_run_shows_who_the_firewall_sees(bench: Bench) -> None:
    sampled, _ = bench.engine().dry_run().findings
    assert sampled["rows"] == [
        {"address": "81.2.69.142", "country": "GB", "rule": "rate-queue", "action": "COUNT", "weight": 6}
    ]


def test_an_address_is_refused_until_its_minutes_are_over(bench: Bench, firewall: Firewall) -> None:
    before = datetime.now(UTC)
    assert bench.given(address=["81.2.69.142"], minutes_refused=30).applied().exit is Exit.DONE
    until = datetime.fromisoformat(firewall.until()["81.2.69.142/32"])
    assert timedelta(minutes=29) < until - before < timedelta(minutes=31)


def test_without_an_address_it_lets_in_whose_time_is_over_and_nobody_else(bench: Bench, firewall: Firewall) -> None:
    assert bench.applied().exit is Exit.DONE
    assert firewall.inside() == {BY_HAND}
    assert firewall.until() == {}


def test_a_rollback_restores_what_was_refused_and_until_when(bench: Bench, firewall: Firewall) -> None:
    before = firewall.inside(), firewall.until()
    given = bench.given(address=["81.2.69.142", "2a02:ffc0::/48"])
    plan = given.planned()
    given.applied(plan)
    assert given.engine().rollback(plan, TERMS).exit is Exit.DONE
    assert (firewall.inside(), firewall.until()) == before


def test_what_somebody_else_writes_in_between_is_kept(firewall: Firewall) -> None:
    other, once = "89.160.20.128/25", iter([1])

    def faster(asked: Mapping[str, Any]) -> None:
        if next(once, None):
            firewall.put("blocked-ipv4", [OVER, BY_HAND, other])

    runbook = WafBlock(address=["81.2.69.142"])
    target = firewall.environment.target()
    target.client("wafv2", "us-east-1").meta.events.register(
        "before-parameter-build.wafv2.UpdateIPSet", lambda params, **_: faster(params)
    )
    [action, _] = runbook.plan(runbook.check(target))
    runbook.do(target, action)
    assert firewall.inside() == {OVER, BY_HAND, other, "81.2.69.142/32"}
