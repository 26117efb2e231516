"""Sessions of a real PostgreSQL: which are ended, and which never."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbooks import _kit as kit
from runbooks._kit.model import Exit
from runbooks.database_connections_exhausted import DatabaseConnectionsExhausted
from scripts.local.servers.postgres import Postgres
from tests.runbooks.bench import Bench
from tests.runbooks.faults.database_connections_exhausted import Sessions


@pytest.fixture
def bench(sessions: Sessions, tmp_path: Path) -> Bench:
    runbook = DatabaseConnectionsExhausted(service="booking", older_than=0)
    return Bench(runbook, sessions.environment, tmp_path)


def to_end(bench: Bench) -> list[int]:
    """Process ids that a dry run would end."""
    return sorted(action["before"]["pid"] for action in bench.engine().dry_run().actions)


def test_a_session_that_is_idle_in_a_transaction_is_ended_and_others_go_on(sessions: Sessions, bench: Bench) -> None:
    working, pid = sessions.connect()
    hanging = sessions.hang()
    assert to_end(bench) == [hanging]
    assert bench.applied().exit is Exit.DONE
    assert hanging not in sessions.there()
    assert working.run("SELECT pg_backend_pid()") == [[pid]]


def test_one_that_has_not_been_idle_for_long_is_left(sessions: Sessions, bench: Bench) -> None:
    sessions.hang()
    assert to_end(bench.given(older_than=60)) == []


def test_one_that_works_again_since_the_dry_run_is_left(sessions: Sessions, bench: Bench) -> None:
    connection, pid = sessions.connect()
    connection.run("START TRANSACTION")
    plan = bench.planned()
    connection.run("SELECT 1")
    report = bench.applied(plan)
    assert [action["outcome"] for action in report.actions] == ["nothing to do any more"]
    assert connection.run("SELECT pg_backend_pid()") == [[pid]]


def test_sessions_of_the_owner_and_of_a_superuser_are_never_ended(
    sessions: Sessions, bench: Bench, postgres_server: Postgres
) -> None:
    name = sessions.databases.names["booking"]
    owner = sessions.hang(sessions.databases.owner("booking"))
    superuser = sessions.hang(postgres_server.admin_url.replace("/postgres?", f"/{name}?"))
    assert {owner, superuser} <= set(sessions.there())
    assert to_end(bench) == []
    assert to_end(bench.given(pid=[owner, superuser])) == []


def test_the_session_that_blocks_the_others_can_be_named(sessions: Sessions, bench: Bench) -> None:
    blocking, pid = sessions.connect()
    blocking.run("START TRANSACTION")
    blocking.run("SELECT pg_advisory_xact_lock(1)")
    named = bench.given(older_than=60, pid=[pid])
    assert to_end(named) == [pid]
    assert named.applied().exit is Exit.DONE
    assert pid not in sessions.there()


def test_no_more_than_the_cap_are_planned_at_once_the_longest_idle_first(sessions: Sessions, bench: Bench) -> None:
    hanging = [sessions.hang() for _ in range(3)]
    report = bench.engine(cap=2).dry_run()
    assert [action["before"]["pid"] for action in report.actions] == hanging[:2]
    assert report.left == 1


def test_sessions_of_the_login_before_a_rotation_are_ended_too(sessions: Sessions, bench: Bench) -> None:
    other = sessions.rotate()
    before, after = sessions.hang(), sessions.hang(other)
    assert to_end(bench) == sorted([before, after])
    assert bench.applied().exit is Exit.DONE
    assert not {before, after} & set(sessions.there())


def test_sessions_of_the_next_login_are_ended_when_a_rotation_was_taken_back(sessions: Sessions, bench: Bench) -> None:
    other = sessions.rotate()
    sessions.rotate_back()
    hanging = sessions.hang(other)
    assert to_end(bench) == [hanging]
    assert bench.applied().exit is Exit.DONE


def test_a_database_that_there_is_not_is_refused_with_those_that_exist(bench: Bench) -> None:
    with pytest.raises(kit.Refused, match="there is no database 'bookin'; databases are booking"):
        bench.given(service="bookin").engine().dry_run()


def test_what_is_found_says_who_holds_the_connections(sessions: Sessions, bench: Bench) -> None:
    sessions.hang()
    connections, by_state, *_ = bench.engine().dry_run().findings
    [numbers] = connections["rows"]
    assert 0 < numbers["used"] < numbers["alarm_at"] < numbers["accepted"]
    found = {(row["role"], row["application"], row["state"]) for row in by_state["rows"]}
    assert ("booking_service", "a-pod", "idle in transaction") in found
