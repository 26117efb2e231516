"""When a login of before opens nothing any more, and what is shown of who read it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runbooks import _kit as kit
from runbooks._kit.model import Exit
from runbooks.credential_compromise import CredentialCompromise
from tests.runbooks.bench import TERMS, Bench
from tests.runbooks.faults.credential_compromise import LEAKED_UNTIL, Leaks

NAME = "booking-database"


@pytest.fixture
def bench(leaks: Leaks, tmp_path: Path) -> Bench:
    leaks.rotations.database("booking")
    runbook = CredentialCompromise(secret=[NAME], leaked_until=LEAKED_UNTIL, settle=0, patience=5)
    return Bench(runbook, leaks.rotations.environment, tmp_path)


def test_both_logins_of_before_are_replaced_whoever_uses_them_and_the_new_ones_work(leaks: Leaks, bench: Bench) -> None:
    first = leaks.rotations.login(NAME)
    bench.environment.target().client("secretsmanager").rotate_secret(SecretId=f"{bench.environment.name}/{NAME}")
    second = leaks.rotations.login(NAME)
    # The second one was read, too.
    leaks.rotations.made[leaks.rotations.current(NAME)] = datetime.now(UTC) - timedelta(days=1)
    sessions = [leaks.use(NAME, login=first), leaks.use(NAME)]
    report = bench.applied()
    assert (report.exit, len(report.actions)) == (Exit.DONE, 2)
    assert [each["result"] for each in report.actions] == [{"sessions ended": 1}, {"sessions ended": 1}]
    assert not any(leaks.alive(each) for each in sessions)
    assert not leaks.opens(first)
    assert not leaks.opens(second)
    assert leaks.opens(leaks.rotations.login(NAME))


def test_a_login_that_is_younger_than_the_leak_is_left(leaks: Leaks, bench: Bench) -> None:
    before = leaks.rotations.stages(NAME)
    bench = bench.given(leaked_until=(datetime.now(UTC) - timedelta(days=91)).isoformat())
    assert bench.engine().dry_run().actions == []
    assert bench.engine().verify().exit is Exit.DONE
    assert leaks.rotations.stages(NAME) == before


def test_sessions_that_outlive_their_password_are_ended_by_the_next_run(leaks: Leaks, bench: Bench) -> None:
    stranger = leaks.use(NAME)
    # The password was made after the session began: a run stopped between the two.
    leaks.rotations.made[leaks.rotations.current(NAME)] = datetime.now(UTC) + timedelta(seconds=1)
    assert bench.engine().verify().exit is Exit.FAILED
    report = bench.engine().dry_run()
    assert [each["before"]["sessions_of"] for each in report.actions] == [leaks.rotations.current(NAME)]
    bench.applied(report.id)
    assert not leaks.alive(stranger)


def test_it_shows_who_read_the_login_and_what_the_key_did(leaks: Leaks, bench: Bench) -> None:
    for _ in range(2):
        leaks.told("GetSecretValue", secret=NAME, who="assumed-role/stranger/one")
    leaks.told("GetSecretValue", secret="payment-database", who="assumed-role/payment/two")
    leaks.told("ListBuckets", source="s3", key="ASIA-LEAKED")
    _, readers, calls = bench.given(access_key="ASIA-LEAKED").engine().dry_run().findings
    [reader] = readers["rows"]
    assert (reader["secret"], reader["times"], reader["from"]) == (NAME, 2, "81.2.69.142")
    assert reader["who"].endswith("assumed-role/stranger/one")
    assert [each["call"] for each in calls["rows"]] == ["s3:ListBuckets"]


def test_without_a_login_it_only_shows(leaks: Leaks, bench: Bench) -> None:
    report = bench.given(secret=[], leaked_until="", access_key="ASIA-LEAKED").engine().dry_run()
    assert (report.actions, report.exit) == ([], Exit.DONE)


@pytest.mark.parametrize("until", ["", "last night", "2026-11-28T03:14:00", "2999-01-01T00:00:00+00:00"])
def test_a_leak_without_a_moment_of_the_past_is_refused(bench: Bench, until: str) -> None:
    with pytest.raises(kit.Refused, match=r"--leaked-until is .* a moment of the past"):
        bench.given(leaked_until=until).planned()


def test_a_rotation_that_does_not_end_leaves_the_rest(leaks: Leaks, bench: Bench) -> None:
    leaks.rotations.stops_before = "finishSecret"
    report = bench.given(patience=0).applied()
    assert (report.exit, "read the function's log" in report.outcome) == (Exit.FAILED, True)


def test_nothing_of_it_is_taken_back(leaks: Leaks, bench: Bench) -> None:
    plan = bench.planned()
    bench.applied(plan)
    report = bench.engine().rollback(plan, TERMS)
    assert (report.outcome, report.actions[0]["no_undo"]) == (
        "nothing to take back",
        "what somebody may have read must not work again",
    )
