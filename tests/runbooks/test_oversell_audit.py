"""Pools that do not add up: what goes off sale, what is corrected, and what no counter can correct."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbooks import _kit as kit
from runbooks._kit.model import Exit
from runbooks.oversell_audit import OversellAudit
from tests.runbooks.bench import TERMS, Bench
from tests.runbooks.faults.oversell_audit import Pools


@pytest.fixture
def bench(pools: Pools, tmp_path: Path) -> Bench:
    return Bench(OversellAudit(), pools.environment, tmp_path)


def actions(bench: Bench) -> list[str]:
    return [action["id"] for action in bench.engine().dry_run().actions]


def test_a_pool_that_adds_up_is_left_alone(pools: Pools, bench: Bench) -> None:
    pools.sell()
    assert actions(bench) == []
    assert bench.engine().verify().exit is Exit.DONE


def test_a_rollback_gives_each_sale_back_the_end_that_it_had(pools: Pools, bench: Bench) -> None:
    pool = pools.sell()
    pools.run("UPDATE pools SET held = 0")
    pools.run("UPDATE ticket_types SET sales_until = now() + interval '3 days'")
    before, plan = pools.sales(), bench.planned()
    assert bench.applied(plan).exit is Exit.DONE
    assert pools.on_sale() == set()
    assert bench.engine().rollback(plan, TERMS).exit is Exit.DONE
    assert (pools.sales(), pools.on_sale()) == (before, {pool})


def test_a_sale_that_has_not_begun_never_begins(pools: Pools, bench: Bench) -> None:
    pools.sell()
    pools.run("UPDATE pools SET held = 0")
    pools.run("UPDATE ticket_types SET sales_from = now() + interval '1 day'")
    assert bench.applied().exit is Exit.DONE
    assert actions(bench) == []


@pytest.mark.parametrize("change", ["held = held + 1", "waiting = 1"])
def test_counters_that_are_too_high_keep_the_sale_and_are_corrected_when_asked(
    pools: Pools, bench: Bench, change: str
) -> None:
    pool = pools.sell()
    pools.run(f"UPDATE pools SET {change}")
    assert actions(bench) == []
    correcting = bench.given(correct=True)
    wrong, plan = pools.counters(), correcting.planned()
    assert correcting.applied(plan).exit is Exit.DONE
    assert pools.counters() == [{"id": pool, "held": 3, "sold": 0, "waiting": 0}]
    assert pools.on_sale() == {pool}
    assert correcting.engine().rollback(plan, TERMS).exit is Exit.DONE
    assert pools.counters() == wrong


def test_a_hold_that_ends_between_plan_and_correction_is_counted(pools: Pools, bench: Bench) -> None:
    pool = pools.sell()
    pools.run("UPDATE pools SET held = held + 1")
    correcting = bench.given(correct=True)
    plan = correcting.planned()
    pools.run("UPDATE holds SET status = 'released'")
    pools.run("UPDATE pools SET held = held - 3")
    assert correcting.applied(plan).exit is Exit.DONE
    assert pools.counters() == [{"id": pool, "held": 0, "sold": 0, "waiting": 0}]


def test_a_pool_with_more_sold_than_places_goes_off_sale_and_is_never_corrected(pools: Pools, bench: Bench) -> None:
    pool = pools.sell()
    pools.run("UPDATE holds SET quantity = 11, status = 'confirmed'")
    before = pools.counters()
    with pytest.raises(kit.Refused, match=f"more is held and sold than there are places in {pool}"):
        bench.given(correct=True).engine().dry_run()
    assert bench.applied().exit is Exit.DONE
    assert (pools.counters(), pools.on_sale()) == (before, set())


def test_only_the_pools_that_are_named_are_looked_at(pools: Pools, bench: Bench) -> None:
    first, second = pools.sell(), pools.sell()
    pools.run("UPDATE pools SET held = 0")
    assert actions(bench.given(pool=[second])) == [f"off sale {second}"]
    assert sorted(actions(bench)) == sorted([f"off sale {first}", f"off sale {second}"])
