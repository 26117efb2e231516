"""Which nodes are removed, how much room is made elsewhere, and when it is given back."""

from __future__ import annotations

from pathlib import Path

import pytest
from kubernetes import client

from runbooks._kit.model import Exit
from runbooks.zone_loss import ZoneLoss
from tests.runbooks.bench import TERMS, Bench, outcomes
from tests.runbooks.groups import ZONES, Group

LOST, *LEFT = ZONES
_WIDEN, _RESTORE = "widen NodeGroup nodes", "restore NodeGroup nodes"


@pytest.fixture
def bench(group: Group, tmp_path: Path) -> Bench:
    return Bench(ZoneLoss(patience=0), group.environment, tmp_path)


def planned(bench: Bench) -> list[str]:
    return [each["id"] for each in bench.engine().dry_run().actions]


def test_with_all_zones_there_is_nothing_to_do(bench: Bench) -> None:
    assert planned(bench) == []
    assert bench.engine().verify().exit is Exit.DONE


def test_a_node_whose_machine_may_still_run_is_never_removed(group: Group, bench: Bench) -> None:
    silent = group.first[LOST]
    group.heard_of(silent, ready=False)
    assert planned(bench) == [_WIDEN]
    assert bench.applied().exit is Exit.FAILED, "no further node has come yet"
    assert silent in group.known()


def test_a_node_that_is_ready_is_not_removed_whatever_ec2_says(group: Group, bench: Bench) -> None:
    group.end(group.first[LOST])
    group.heard_of(group.first[LOST])
    assert planned(bench) == []


def test_a_node_that_came_back_under_its_name_is_left(group: Group, bench: Bench) -> None:
    lost = group.first[LOST]
    group.end(lost)
    target = bench.environment.target()
    [*_, removal] = bench.runbook.plan(bench.runbook.check(target))
    group.leave_and_return(lost)
    with pytest.raises(client.ApiException, match="Conflict"):
        bench.runbook.do(target, removal)
    assert lost in group.known()


def test_one_node_of_a_zone_that_goes_on_needs_no_room_elsewhere(group: Group, bench: Bench) -> None:
    ended = group.join(LOST)
    group.end(ended)
    assert planned(bench) == [f"remove node {ended} of {group.nodes[ended]}"]


def test_when_no_zone_has_a_node_that_is_ready_it_is_no_zone_that_is_lost(group: Group, bench: Bench) -> None:
    for name in group.known():
        group.heard_of(name, ready=False)
    assert planned(bench) == []
    assert bench.engine().verify().exit is Exit.FAILED


def test_a_group_is_widened_no_further_than_its_most(group: Group, bench: Bench) -> None:
    group.most(3)
    group.heard_of(group.first[LOST], ready=False)
    assert planned(bench) == []


def test_when_the_zone_has_nodes_again_the_group_gets_back_what_it_had(group: Group, bench: Bench) -> None:
    group.end(group.first[LOST])
    bench.applied()
    group.join(LEFT[0])
    assert planned(bench) == [], "the zone is still away"
    group.join(LOST)
    assert planned(bench) == [_RESTORE]
    assert bench.applied().exit is Exit.DONE
    assert group.sizes == (3, 3)
    assert planned(bench) == []


def test_a_rollback_gives_back_the_size_and_says_that_the_node_is_gone(group: Group, bench: Bench) -> None:
    group.end(group.first[LOST])
    plan = bench.planned()
    bench.applied(plan)
    assert group.sizes == (4, 4)
    report = bench.engine().rollback(plan, TERMS)
    assert report.exit is Exit.PARTIAL
    assert sorted(outcomes(report).values()) == ["cannot be undone", "undone"]
    assert group.sizes == (3, 3)
    assert group.workloads.remembered("zone_loss") == {}
