"""When a database is failed over, and when that would be an outage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runbooks import _kit as kit
from runbooks._kit.model import Exit
from runbooks.rds_failover import RdsFailover
from tests.runbooks.bench import TERMS, Bench
from tests.runbooks.faults.rds_failover import ILL, WELL, Standbys


@pytest.fixture
def bench(standbys: Standbys, tmp_path: Path) -> Bench:
    runbook = RdsFailover(service=["booking"], away_from=ILL, patience=0)
    return Bench(runbook, standbys.instances.environment, tmp_path)


def test_without_a_zone_it_only_looks(bench: Bench) -> None:
    report = bench.given(away_from="").engine().dry_run()
    assert report.actions == []
    [row] = report.findings[0]["rows"]
    assert (row["zone"], row["standby"], row["read_replicas_behind"]) == (ILL, WELL, "booking-reader says nothing")


def test_only_the_database_that_was_named_moves(bench: Bench, standbys: Standbys) -> None:
    assert bench.applied().exit is Exit.DONE
    assert standbys.zones == {"booking": WELL, "payment": ILL}


def test_a_rollback_moves_it_back_and_a_second_one_nowhere(bench: Bench, standbys: Standbys) -> None:
    plan = bench.planned()
    bench.applied(plan)
    for _ in range(2):
        assert bench.engine().rollback(plan, TERMS).exit is Exit.DONE
    assert standbys.zones["booking"] == ILL
    assert standbys.instances.failovers == [standbys.ids["booking"]] * 2


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"MultiAZ": False}, "has no standby"),
        ({"DBInstanceStatus": "modifying"}, "is modifying: its standby may not be in step"),
        ({"PendingModifiedValues": {"DBInstanceClass": "db.t4g.large"}}, "DBInstanceClass of .* wait to be changed"),
    ],
)
def test_what_is_no_plain_failover_is_refused(
    bench: Bench, standbys: Standbys, facts: dict[str, Any], says: str
) -> None:
    standbys.instances.extra[standbys.ids["booking"]] |= facts
    with pytest.raises(kit.Refused, match=says):
        bench.planned()
    assert standbys.instances.failovers == []


def test_changes_that_wait_go_along_when_that_is_meant(bench: Bench, standbys: Standbys) -> None:
    standbys.instances.extra[standbys.ids["booking"]] |= {"PendingModifiedValues": {"DBInstanceClass": "db.t4g.large"}}
    assert bench.given(with_pending=True).applied().exit is Exit.DONE
    assert standbys.zones["booking"] == WELL


def test_a_database_that_moved_and_takes_no_writes_is_told(bench: Bench, standbys: Standbys) -> None:
    plan = bench.planned()
    environment = standbys.instances.environment
    environment.next_login(
        "booking", {"user": "nobody", "password": "wrong", "host": "127.0.0.1", "port": 1, "database": "booking"}
    )
    report = bench.applied(plan)
    assert report.exit is Exit.FAILED
    assert "is not in use in another zone" in report.outcome
    checks = {each["name"]: each["ok"] for each in bench.engine().verify().verified}
    assert checks == {
        "booking runs elsewhere": True,
        "booking is available": True,
        "booking takes writes": False,
    }
