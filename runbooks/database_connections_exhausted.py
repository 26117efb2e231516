"""`python -m runbooks.database_connections_exhausted`: what holds a database's connections; ends what hangs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from runbooks import _kit as kit
from runbooks._kit import postgresql
from runbooks._kit.postgresql import Database, Row
from runbooks._kit.target import until

# Of the connections that the server accepts: below, the alarm clears (components/database_alarms.py).
_ALARM = 0.8
# Seconds that a session may take to go.
_PATIENCE = 5.0
# Sessions of the service's own logins, in this database; never of somebody who replicates or rules, never this one.
_ENDABLE = """
  FROM pg_stat_activity a JOIN pg_roles r ON r.rolname = a.usename
  WHERE a.datname = current_database() AND a.backend_type = 'client backend' AND a.pid <> pg_backend_pid()
    AND NOT r.rolsuper AND NOT r.rolreplication AND pg_has_role(current_user, r.oid, 'USAGE')"""
_HANGING = "a.state LIKE 'idle in transaction%' AND a.state_change < now() - :older * interval '1 second'"
_NAMED = "a.pid = ANY(CAST(:pids AS int[]))"
_SESSIONS = """
  SELECT a.pid, a.usename AS role, a.application_name AS application, a.state,
         a.backend_start::text AS since, a.state_change::text AS changed, left(a.query, 60) AS statement"""
_END = "SELECT pg_terminate_backend(a.pid) AS ended"
_SAME = "a.pid = :pid AND a.backend_start = CAST(:since AS timestamptz)"
# What every role may see: how many there are.
_USED = """
  SELECT sum(numbackends)::int AS used, current_setting('max_connections')::int AS accepted FROM pg_stat_database"""
_CLIENTS = "datname = current_database() AND coalesce(backend_type, 'client backend') = 'client backend'"
_BY_STATE = f"""
  SELECT usename AS role, application_name AS application, coalesce(state, 'not shown to this login') AS state,
         count(*) AS sessions, floor(extract(epoch FROM max(now() - state_change)))::int AS longest_seconds
  FROM pg_stat_activity WHERE {_CLIENTS} AND pid <> pg_backend_pid() GROUP BY 1, 2, 3 ORDER BY 4 DESC"""
_BLOCKED = f"""
  SELECT pid, array_to_string(pg_blocking_pids(pid), ' ') AS blocked_by,
         floor(extract(epoch FROM now() - xact_start))::int AS seconds, left(query, 60) AS statement
  FROM pg_stat_activity WHERE {_CLIENTS} AND cardinality(pg_blocking_pids(pid)) > 0 ORDER BY 3 DESC"""


@dataclass(frozen=True, slots=True)
class Found:
    """The sessions of one database, and those that are to be ended."""

    used: int
    accepted: int
    by_state: list[Row]
    blocked: list[Row]
    to_end: list[Row]

    def tables(self) -> list[kit.Table]:
        return [
            kit.Table("connections", ("used", "accepted", "alarm_at"), [(self.used, self.accepted, self.limit)]),
            _table("sessions", self.by_state),
            _table("waiting for others", self.blocked),
            _table("to be ended", self.to_end),
        ]

    @property
    def limit(self) -> int:
        return int(self.accepted * _ALARM)


@dataclass(frozen=True, kw_only=True)
class DatabaseConnectionsExhausted(kit.Runbook[Found]):
    """End sessions that sit idle in a transaction, or the one that blocks the others.

    Only sessions of the service's own logins: both that take turns. Logins of owner, RDS or a person are never ended.
    """

    service: Annotated[str, typer.Option(help="The service whose database the alarm names.")]
    older_than: Annotated[int, typer.Option(min=1, help="Seconds idle in a transaction before a session hangs.")] = 60
    pid: Annotated[list[int], typer.Option(help="End this session instead, whatever it does; may be repeated.")] = (
        field(default_factory=list)
    )

    def check(self, target: kit.Target) -> Found:
        with postgresql.logins(target, self.service) as databases:
            [numbers] = databases[0].rows(_USED)
            to_end = {row["pid"]: row for each in databases for row in self._to_end(each)}
            return Found(
                used=numbers["used"],
                accepted=numbers["accepted"],
                # A login that is a member of the other sees both.
                by_state=min((each.rows(_BY_STATE) for each in databases), key=_hidden),
                blocked=databases[0].rows(_BLOCKED),
                to_end=sorted(to_end.values(), key=lambda row: str(row["changed"])),
            )

    def plan(self, findings: Found) -> list[kit.Action]:
        return [
            kit.Action(
                # Process ids come again, and a session that has worked since hangs no more.
                id=f"end {row['pid']} of {row['since']}, {row['state']} since {row['changed']}",
                what=f"end session {row['pid']} of {row['role']}, {row['state']} since {row['changed']}",
                before={key: row[key] for key in ("pid", "since", "role", "application", "state", "changed")},
                after={"state": "ended"},
                no_undo="its transaction is rolled back; the client connects again by itself",
            )
            for row in findings.to_end
        ]

    def do(self, target: kit.Target, action: kit.Action) -> Mapping[str, Any]:
        same = {"pid": action.before["pid"], "since": action.before["since"]}

        def gone() -> bool:
            return not any(each.rows(f"SELECT a.pid {_ENDABLE} AND {_SAME}", **same) for each in databases)

        with postgresql.logins(target, self.service) as databases:
            for each in databases:
                each.rows(f"{_END} {_ENDABLE} AND {self._which} AND {_SAME}", **self._chosen, **same)
            if not until(gone, seconds=_PATIENCE, every=0.1):
                raise RuntimeError(f"session {same['pid']} is still there {_PATIENCE:g} s after it was ended")
        return {}

    def verify(self, target: kit.Target) -> list[kit.Check]:
        found = self.check(target)
        hanging = ", ".join(str(row["pid"]) for row in found.to_end)
        return [
            kit.Check("no session hangs", not found.to_end, hanging),
            kit.Check("connections are below the alarm", found.used < found.limit, f"{found.used} of {found.accepted}"),
        ]

    def _to_end(self, database: Database) -> list[Row]:
        return database.rows(f"{_SESSIONS} {_ENDABLE} AND {self._which} ORDER BY a.state_change", **self._chosen)

    @property
    def _which(self) -> str:
        return _NAMED if self.pid else _HANGING

    @property
    def _chosen(self) -> dict[str, Any]:
        return {"pids": list(self.pid)} if self.pid else {"older": self.older_than}


def _hidden(rows: Sequence[Row]) -> int:
    return sum(row["sessions"] for row in rows if row["longest_seconds"] is None)


def _table(title: str, rows: Sequence[Row]) -> kit.Table:
    columns = tuple(rows[0]) if rows else ()
    return kit.Table(title, columns, [tuple(row.values()) for row in rows])


app = kit.command(DatabaseConnectionsExhausted)
if __name__ == "__main__":
    app()
