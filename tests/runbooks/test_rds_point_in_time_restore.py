"""What is restored and how, when a service is led to it, and what is refused before two databases are written to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pg8000.native
import pytest

from runbooks import _kit as kit
from runbooks._kit.model import Exit
from runbooks.rds_point_in_time_restore import RdsPointInTimeRestore
from services.common.database import arguments
from tests.runbooks.bench import TERMS, Bench, outcomes
from tests.runbooks.faults.rds_point_in_time_restore import AWAY, MOMENT, Restores
from tests.support.databases import run

HERE = "127.0.0.1"


@pytest.fixture
def bench(restores: Restores, tmp_path: Path) -> Bench:
    runbook = RdsPointInTimeRestore(service=["booking"], to=MOMENT.isoformat(), patience=0)
    return Bench(runbook, restores.environment, tmp_path)


@contextmanager
def session(restores: Restores) -> Iterator[pg8000.native.Connection]:
    """A process of booking that uses its database."""
    known: dict[str, Any] = arguments(restores.databases.service("booking"))
    connection = pg8000.native.Connection(
        known["user"], password=known["password"], host=known["host"], port=known["port"],
        database=known["database"], ssl_context=known["ssl"],
    )  # fmt: skip
    yield connection
    connection.close()


def test_it_is_restored_beside_the_original_with_all_that_rds_would_choose_otherwise(
    restores: Restores, bench: Bench
) -> None:
    source = restores.create("booking")
    report = bench.applied()
    assert report.exit is Exit.DONE
    [asked] = restores.asked
    assert asked["RestoreTime"] == MOMENT
    assert (asked["DBSubnetGroupName"], asked["VpcSecurityGroupIds"]) == ("data", ["sg-data"])
    assert (asked["DBParameterGroupName"], asked["MultiAZ"]) == ("booking-tuned", True)
    assert asked["DeletionProtection"]
    assert asked["ManageMasterUserPassword"]
    assert asked["Tags"] == [{"Key": "Environment", "Value": "test"}]
    assert restores.login("booking")["instance"] == AWAY
    assert source in restores.instances.extra


@pytest.mark.parametrize(
    ("forgotten", "setting"),
    [
        ("VpcSecurityGroupIds", "VpcSecurityGroupIds"),
        ("DBSubnetGroupName", "DBSubnetGroupName"),
        ("DBParameterGroupName", "DBParameterGroupName"),
        ("DeletionProtection", "DeletionProtection"),
        ("MultiAZ", "MultiAZ"),
    ],
)
def test_a_setting_that_is_not_the_originals_fails_the_verification_and_keeps_it_out_of_use(
    restores: Restores, bench: Bench, forgotten: str, setting: str
) -> None:
    restores.create("booking")
    restores.forgets = (forgotten,)
    report = bench.applied()
    assert report.exit is Exit.FAILED
    assert report.verified[1]["detail"] == setting
    with pytest.raises(kit.Refused, match=f"{setting} of .* is not as on the original"):
        bench.given(cut_over=["booking"]).planned()


def test_a_run_that_was_cut_short_finds_what_it_began_and_waits_for_it(restores: Restores, bench: Bench) -> None:
    source = restores.create("booking")
    restores.status = "creating"
    failed = bench.applied()
    assert (failed.exit, "goes on waiting" in failed.outcome) == (Exit.FAILED, True)
    restores.instances.extra[f"{source}-at-{MOMENT:%Y%m%d-%H%M%S}"]["DBInstanceStatus"] = "available"
    report = bench.engine().dry_run()
    assert report.actions == []
    assert len(restores.asked) == 1
    assert bench.engine().verify().exit is Exit.DONE


@pytest.mark.parametrize(
    ("to", "says"),
    [
        ("yesterday", "is no moment"),
        ("2026-11-28T03:14:00", "has no zone"),
        ((MOMENT - timedelta(days=20)).isoformat(), "can be restored to a moment from"),
        ((MOMENT + timedelta(hours=2)).isoformat(), "can be restored to a moment from"),
    ],
    ids=["no moment", "no zone", "too early", "too late"],
)
def test_a_moment_that_cannot_be_restored_is_refused_with_those_that_can(
    restores: Restores, bench: Bench, to: str, says: str
) -> None:
    restores.create("booking")
    with pytest.raises(kit.Refused, match=says):
        bench.given(to=to).planned()


def test_without_a_moment_it_shows_which_there_are(restores: Restores, bench: Bench) -> None:
    restores.create("booking")
    report = bench.given(to="").engine().dry_run()
    assert report.actions == []
    assert report.findings[0]["rows"][0]["from"] == (MOMENT - timedelta(days=14)).isoformat()


def test_what_was_written_since_is_shown_by_state_and_sum(restores: Restores, bench: Bench) -> None:
    restores.create("payment", address=HERE)
    insert = """
      INSERT INTO payments (order_id, attempt, buyer_id, amount, currency, payment_method, status, updated_at)
      VALUES (gen_random_uuid(), 1, 'somebody', $1, 'eur', 'pm_card_visa', 'captured', $2)"""
    for amount, at in ((500, MOMENT - timedelta(seconds=1)), (700, MOMENT + timedelta(seconds=1)), (800, MOMENT)):
        asyncio.run(run(restores.databases.owner("payment"), insert, amount, at))
    [shown] = bench.given(service=["payment"]).engine().dry_run().findings[2]["rows"]
    assert (shown["what"], shown["rows"], shown["minor_units"]) == ("payments, captured", 1, 700)


def test_of_an_original_that_answers_nobody_all_is_to_be_compared(restores: Restores, bench: Bench) -> None:
    restores.create("booking")
    [shown] = bench.engine().dry_run().findings[2]["rows"]
    assert "does not answer" in shown["what"]


def test_nobody_is_led_to_what_is_not_restored(restores: Restores, bench: Bench) -> None:
    restores.create("booking")
    with pytest.raises(kit.Refused, match="restore it first, without --cut-over"):
        bench.given(cut_over=["booking"]).planned()
    with pytest.raises(kit.Refused, match="--cut-over names payment"):
        bench.given(cut_over=["payment"]).planned()


def test_while_the_service_still_uses_the_original_nobody_is_led_away_from_it(restores: Restores, bench: Bench) -> None:
    restores.restore(restores.create("booking", address=HERE), address=AWAY)
    with session(restores) as used:
        used.run("SELECT 1")
        with pytest.raises(kit.Refused, match=r"1 sessions of booking use .*: stop its workloads first"):
            bench.given(cut_over=["booking"]).planned()
    plan = bench.given(cut_over=["booking"]).engine().dry_run()
    assert [each["after"]["instance"] for each in plan.actions] == [AWAY]


def test_without_a_proxy_the_login_alone_leads_there_and_back(restores: Restores, bench: Bench) -> None:
    new = restores.restore(restores.create("booking"))
    before, bench = restores.login("booking"), bench.given(cut_over=["booking"])
    plan = bench.planned()
    assert bench.applied(plan).exit is Exit.DONE
    after = restores.login("booking")
    assert (after["host"], after["instance"], after["owner"]) == (HERE, HERE, f"{new}-owner")
    assert {**after, "host": AWAY, "instance": AWAY, "owner": before["owner"]} == before
    assert bench.engine().rollback(plan, TERMS).exit is Exit.DONE
    assert restores.login("booking") == before


def test_a_proxy_leads_there_and_stays_the_host_and_a_rollback_leads_it_back(restores: Restores, bench: Bench) -> None:
    source = restores.create("booking", proxy=True)
    new, bench = restores.restore(source), bench.given(cut_over=["booking"])
    plan = bench.planned()
    report = bench.applied(plan)
    assert list(outcomes(report).values()) == ["done", "done"]
    assert restores.leads_to == [new]
    assert (restores.login("booking")["host"], restores.login("booking")["instance"]) == ("the-proxy.invalid", HERE)
    assert bench.engine().rollback(plan, TERMS).exit is Exit.DONE
    assert (restores.leads_to, restores.login("booking")["instance"]) == ([source], AWAY)


def test_while_the_service_uses_what_was_restored_a_rollback_leads_nobody_back(
    restores: Restores, bench: Bench
) -> None:
    restores.restore(restores.create("booking"))
    bench = bench.given(cut_over=["booking"])
    plan = bench.planned()
    bench.applied(plan)
    with session(restores) as used:
        used.run("SELECT 1")
        report = bench.engine().rollback(plan, TERMS)
    assert (report.exit, "stop its workloads first" in report.outcome) == (Exit.FAILED, True)
    assert restores.login("booking")["instance"] == HERE


def test_a_proxy_that_does_not_reach_it_and_a_login_that_it_refuses_fail_the_verification(
    restores: Restores, bench: Bench
) -> None:
    restores.restore(restores.create("booking", proxy=True))
    bench = bench.given(cut_over=["booking"])
    restores.target_state = "UNAVAILABLE"
    assert "the proxy says UNAVAILABLE" in bench.applied().verified[-1]["detail"]
    restores.target_state = "AVAILABLE"
    assert bench.engine().verify().exit is Exit.DONE
    known = {**restores.login("booking"), "password": "of-another-day"}
    restores.environment.aws("secretsmanager").put_secret_value(
        SecretId=restores.environment.record["databaseSecretArns"]["booking"], SecretString=str(known).replace("'", '"')
    )
    report = bench.engine().verify()
    assert (report.exit, "secret_rotation" in report.verified[-1]["detail"]) == (Exit.FAILED, True)
