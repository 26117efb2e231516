"""Which cache is failed over, and when that would lose too much."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runbooks import _kit as kit
from runbooks._kit.model import Exit
from runbooks.cache_failover import CacheFailover
from tests.runbooks.bench import Bench
from tests.runbooks.faults.cache_failover import Caches


@pytest.fixture
def group(caches: Caches) -> str:
    return caches.create("admission")


@pytest.fixture
def bench(caches: Caches, group: str, tmp_path: Path) -> Bench:
    return Bench(CacheFailover(away_from=[f"{group}-001"], patience=0), caches.environment, tmp_path)


def test_it_shows_the_nodes_of_this_environment_alone_and_how_far_each_is_behind(
    bench: Bench, caches: Caches, group: str
) -> None:
    caches.behind(f"{group}-002", 3)
    report = bench.given(away_from=[]).engine().dry_run()
    assert report.actions == []
    rows = [(each["node"], each["role"], each["behind_seconds"]) for each in report.findings[0]["rows"]]
    assert rows == [
        (f"{group}-001", "primary", None),
        (f"{group}-002", "replica", 3.0),
        (f"{group}-003", "replica", None),
    ]


def test_another_node_is_primary_then_and_the_audit_says_which(bench: Bench, caches: Caches, group: str) -> None:
    plan = bench.planned()
    assert bench.applied(plan).exit is Exit.DONE
    assert caches.primaries[group] == f"{group}-002"
    [done] = [line for line in bench.audit(plan) if line["event"] == "done"]
    assert done["result"] == {"primary": f"{group}-002"}


def test_a_node_that_is_no_primary_any_more_is_left(bench: Bench, caches: Caches, group: str) -> None:
    plan = bench.planned()
    caches.primaries[group] = f"{group}-003"
    assert [each["outcome"] for each in bench.applied(plan).actions] == ["nothing to do any more"]
    assert caches.primaries[group] == f"{group}-003"


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"Status": "modifying"}, "is modifying"),
        ({"AutomaticFailover": "disabled"}, "has no replica that takes over by itself"),
    ],
)
def test_a_cache_that_cannot_fail_over_is_refused(
    bench: Bench, caches: Caches, facts: dict[str, Any], says: str
) -> None:
    caches.extra = facts
    with pytest.raises(kit.Refused, match=says):
        bench.planned()


def test_replicas_that_are_too_far_behind_are_refused_unless_that_is_agreed(
    bench: Bench, caches: Caches, group: str
) -> None:
    for node in ("002", "003"):
        caches.behind(f"{group}-{node}", 60)
    with pytest.raises(kit.Refused, match="is 60 s behind, --most-behind says 5"):
        bench.planned()
    assert bench.given(most_behind=90).applied().exit is Exit.DONE


@pytest.mark.parametrize("node", ["nobody", "strange-001"])
def test_a_node_of_no_cache_of_this_environment_is_refused(bench: Bench, node: str) -> None:
    with pytest.raises(kit.Refused, match=f"no cache has a node {node}"):
        bench.given(away_from=[node]).planned()
