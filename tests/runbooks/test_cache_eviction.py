"""What is shown of a cache, which keys get an end, and when its nodes are replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbooks import _kit as kit
from runbooks._kit.model import Exit
from runbooks.cache_eviction import LIVES, CacheEviction
from services.booking.adapters import admission
from tests.runbooks.bench import TERMS, Bench
from tests.runbooks.faults.cache_eviction import LARGE, SMALL, Full


@pytest.fixture
def bench(full: Full, tmp_path: Path) -> Bench:
    return Bench(CacheEviction(patience=0), full.caches.environment, tmp_path)


def test_it_shows_kinds_of_keys_with_their_number_their_size_and_those_without_an_end(full: Full, bench: Bench) -> None:
    full.put(*(f"room:{number}" for number in range(1_200)))
    full.put("room:gone", "single", seconds=60)
    full.put("strange:one")
    report = bench.engine().dry_run()
    kinds = {each["kind"]: each for each in report.findings[1]["rows"]}
    assert (kinds["room"]["keys"], kinds["room"]["without_an_end"], kinds["room"]["lives"]) == (1_201, 1_200, "30 days")
    assert kinds["room"]["bytes_each"] > 100
    assert kinds["strange"]["lives"] == "not known: ask its owner"
    assert kinds["of no kind"]["without_an_end"] == 0
    assert [each["before"]["kind"] for each in report.actions] == ["room"]


def test_a_key_gets_the_end_that_its_service_gives_it() -> None:
    assert {"room": admission.KEPT} == LIVES


def test_an_end_that_is_there_stays_and_a_kind_that_nobody_knows_is_left(full: Full, bench: Bench) -> None:
    full.put("room:short", seconds=60)
    full.put("room:long", "strange:one")
    plan = bench.planned()
    report = bench.applied(plan)
    assert (report.exit, report.actions[0]["result"]) == (Exit.DONE, {"keys": 1})
    assert full.ends("room:short") <= 60
    assert 0 <= LIVES["room"].total_seconds() - full.ends("room:long") < 60
    assert full.ends("strange:one") == -1
    assert bench.engine().rollback(plan, TERMS).outcome == "nothing to take back"


def test_it_looks_at_no_more_keys_than_it_may(full: Full, bench: Bench) -> None:
    full.put(*(f"room:{number}" for number in range(2_000)))
    [shown] = bench.given(most=500).engine().dry_run().findings[1]["rows"]
    assert 500 <= shown["keys"] < 2_000


def test_a_full_cache_grows_and_goes_back(full: Full, bench: Bench) -> None:
    full.used(90)
    assert bench.engine().verify().exit is Exit.FAILED
    bench = bench.given(cache=["admission"], node_type=LARGE)
    plan = bench.planned()
    assert bench.applied(plan).exit is Exit.DONE
    assert (full.node_type, full.changes) == (LARGE, 1)
    assert bench.engine().rollback(plan, TERMS).exit is Exit.DONE
    assert (full.node_type, full.changes) == (SMALL, 2)


def test_a_change_that_is_under_way_is_waited_for_and_not_begun_again(full: Full, bench: Bench) -> None:
    bench = bench.given(cache=["admission"], node_type=LARGE)
    plan = bench.planned()
    full.becomes("modifying")
    with pytest.raises(kit.Refused, match="is modifying"):
        bench.planned()
    full.becomes("available")
    bench.applied(plan)
    assert full.changes == 1
    assert bench.engine().dry_run().actions == []


def test_a_type_to_which_it_cannot_grow_is_refused_with_those_to_which_it_can(full: Full, bench: Bench) -> None:
    with pytest.raises(kit.Refused, match=rf"of {SMALL} can grow to {LARGE}, not to cache\.t4g\.micro"):
        bench.given(cache=["admission"], node_type="cache.t4g.micro").planned()


def test_nodes_are_of_one_cache_that_is_named(full: Full, bench: Bench) -> None:
    with pytest.raises(kit.Refused, match="say which with --cache"):
        bench.given(node_type=LARGE).planned()
    with pytest.raises(kit.Refused, match="no cache is called sessions; caches are admission"):
        bench.given(cache=["sessions"]).planned()
