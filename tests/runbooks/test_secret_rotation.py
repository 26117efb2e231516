"""Rotations of real logins: what is rotated, what is left, and what is taken back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runbooks import _kit as kit
from runbooks._kit.model import Exit
from runbooks.secret_rotation import SecretRotation
from tests.runbooks.bench import TERMS, Bench
from tests.runbooks.faults.secret_rotation import Rotations


@pytest.fixture
def bench(rotations: Rotations, tmp_path: Path) -> Bench:
    rotations.database("booking")
    return Bench(SecretRotation(secret=["booking-database"], patience=0), rotations.environment, tmp_path)


def test_the_next_login_works_and_the_one_before_still_does(rotations: Rotations, bench: Bench) -> None:
    before, plan = rotations.login("booking-database"), bench.planned()
    report = bench.applied(plan)
    assert {check["name"]: check["ok"] for check in report.verified}["booking-database logs in"]
    after = rotations.login("booking-database")
    assert after["username"] == f"{before['username']}_b"
    assert bench.engine().rollback(plan, TERMS).exit is Exit.DONE
    assert rotations.login("booking-database") == before
    assert bench.engine().verify().exit is Exit.DONE


def test_one_that_was_rotated_within_the_hour_is_left(rotations: Rotations, bench: Bench) -> None:
    bench.applied()
    assert bench.engine().dry_run().actions == []


def test_without_a_name_all_are_shown_and_none_is_rotated(bench: Bench) -> None:
    report = bench.given(secret=[]).engine().dry_run()
    assert [row["secret"] for row in report.findings[0]["rows"]] == ["booking-database"]
    assert report.actions == []


def test_one_that_is_stuck_fails_and_begins_anew_when_asked(rotations: Rotations, bench: Bench) -> None:
    rotations.stops_before = "finishSecret"
    failed = bench.applied()
    assert (failed.exit, "read the function's log" in failed.outcome) == (Exit.FAILED, True)
    assert bench.engine().dry_run().findings[0]["rows"][0]["rotation"] == "stuck"
    assert bench.engine().verify().exit is Exit.FAILED
    rotations.stops_before = ""
    assert bench.given(discard_pending=True).applied().exit is Exit.DONE
    assert bench.engine().dry_run().findings[0]["rows"][0]["rotation"] == "at rest"


def test_what_was_rotated_again_since_is_not_taken_back(rotations: Rotations, bench: Bench) -> None:
    plan = bench.planned()
    bench.applied(plan)
    rotations.rotated.clear()
    bench.applied()
    report = bench.engine().rollback(plan, TERMS)
    assert (report.exit, "was rotated again since" in report.outcome) == (Exit.FAILED, True)


def test_a_secret_that_there_is_not_or_that_has_no_schedule_is_refused(rotations: Rotations, bench: Bench) -> None:
    with pytest.raises(kit.Refused, match="no secret is called bookin; secrets are booking-database"):
        bench.given(secret=["bookin"]).engine().dry_run()
    rotations.scheduled = False
    with pytest.raises(kit.Refused, match="booking-database has no rotation"):
        bench.engine().dry_run()


def test_a_login_that_the_store_refuses_fails_the_verification(rotations: Rotations, bench: Bench) -> None:
    secrets, login = rotations.environment.aws("secretsmanager"), rotations.login("booking-database")
    secrets.put_secret_value(
        SecretId=f"{rotations.environment.name}/booking-database",
        SecretString=json.dumps({**login, "password": "not-this-one"}),
    )
    report = bench.engine().verify()
    assert report.exit is Exit.FAILED
    assert "password authentication failed" in report.verified[1]["detail"]
