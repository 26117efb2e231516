"""`python -m runbooks.notification_backlog`: deliveries that wait or were given up; back to work, or out of the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from runbooks import _kit as kit
from runbooks._kit import postgresql
from runbooks._kit.postgresql import Row

_SERVICE = "notification"
# What messages are for, by their priority in the queue (services/notification/workflows/model.py).
CATEGORIES = ("tickets", "transactional", "reminders", "marketing")
# Kinds of a last error that say nothing of the message: Novu or the way to it was at fault (httpx, Novu's SDK).
TECHNICAL = frozenset(
    {
        *("APIError", "ErrorDto", "NoResponseError", "TimeoutError", "ConnectError", "ConnectTimeout", "PoolTimeout"),
        *("ReadError", "ReadTimeout", "RemoteProtocolError", "WriteError", "WriteTimeout"),
    }
)
_EXPIRED = "expired by a runbook"
# A digest is due a day after it was begun.
_LEAST_HOURS = 24
_WAITING = """
  SELECT priority, count(*)::int AS deliveries, count(*) FILTER (WHERE due_at <= now())::int AS due,
         greatest(0, extract(epoch FROM now() - min(due_at)))::int AS oldest_due_seconds
  FROM deliveries WHERE status IN ('pending', 'sending') AND digest_id IS NULL GROUP BY 1 ORDER BY 1"""
_DEAD = """
  SELECT transaction_id AS delivery, workflow, priority, attempts, coalesce(reason, '') AS reason,
         decided_at::text AS since
  FROM deliveries WHERE status = 'dead' AND digest_id IS NULL ORDER BY priority, decided_at"""
_OLD = f"""
  SELECT transaction_id AS delivery, workflow, created_at::text AS since, due_at::text AS due
  FROM deliveries WHERE status = 'pending' AND digest_id IS NULL AND priority = {CATEGORIES.index("marketing")}
    AND created_at < now() - :hours * interval '1 hour' ORDER BY created_at"""
# A delivery, and what its digest gathered.
_OF_DELIVERY = "WHERE coalesce(digest_id, transaction_id) = :delivery"
# As services/notification/adapters/store.py puts one back.
_REQUEUE = f"""
  UPDATE deliveries SET status = 'pending', due_at = now(), attempts = least(attempts, 1), decided_at = NULL
  {_OF_DELIVERY} AND status = 'dead' RETURNING transaction_id"""
_EXPIRE = f"""
  UPDATE deliveries SET status = 'suppressed', reason = '{_EXPIRED}', decided_at = now()
  {_OF_DELIVERY} AND status = 'pending' RETURNING transaction_id"""
_RESTORE = f"""
  UPDATE deliveries SET status = 'pending', reason = NULL, decided_at = NULL, due_at = CAST(:due AS timestamptz)
  {_OF_DELIVERY} AND status = 'suppressed' AND reason = '{_EXPIRED}' RETURNING transaction_id"""


@dataclass(frozen=True, slots=True)
class Found:
    """What waits by category, what was given up, and marketing that is too old to be of use."""

    waiting: Sequence[Row]
    dead: Sequence[Row]
    old: Sequence[Row]

    def tables(self) -> list[kit.Table]:
        waiting = [
            (CATEGORIES[row["priority"]], row["deliveries"], row["due"], row["oldest_due_seconds"])
            for row in self.waiting
        ]
        dead = [
            (CATEGORIES[row["priority"]], row["workflow"], row["reason"], row["attempts"], row["since"])
            for row in self.dead
        ]
        old = [(row["workflow"], row["since"]) for row in self.old]
        return [
            kit.Table("waiting", ("category", "deliveries", "due", "oldest_due_seconds"), waiting),
            kit.Table("dead", ("category", "workflow", "reason", "attempts", "since"), dead),
            kit.Table("marketing that is too old", ("workflow", "since"), old),
        ]


@dataclass(frozen=True, kw_only=True)
class NotificationBacklog(kit.Runbook[Found]):
    """Put dead deliveries back whose cause was technical, tickets first; expire marketing that is too old.

    The message itself is at fault for any other cause: it would be dead again.
    """

    cap = 100

    reason: Annotated[
        list[str], typer.Option(help="A further cause that was mended, as the dry run shows it; may be repeated.")
    ] = field(default_factory=list)
    expire_marketing: Annotated[
        int, typer.Option(min=0, help=f"Hours after which marketing is expired: {_LEAST_HOURS} or more; 0 for never.")
    ] = 0
    late: Annotated[int, typer.Option(min=1, help="Seconds that a ticket may be due.")] = 900

    def check(self, target: kit.Target) -> Found:
        if 0 < self.expire_marketing < _LEAST_HOURS:
            raise kit.Refused(
                f"--expire-marketing is {self.expire_marketing}: a digest is only due after {_LEAST_HOURS} hours"
            )
        with postgresql.connected(target, _SERVICE) as database:
            return Found(
                waiting=database.rows(_WAITING),
                dead=database.rows(_DEAD),
                old=database.rows(_OLD, hours=self.expire_marketing) if self.expire_marketing else [],
            )

    def plan(self, findings: Found) -> list[kit.Action]:
        requeued = [
            kit.Action(
                # One that is dead once more has been tried since.
                id=f"requeue {row['delivery']}, dead since {row['since']}",
                what=f"requeue {row['delivery']} ({row['workflow']}): {row['reason']}",
                before={"delivery": row["delivery"], "status": "dead", "reason": row["reason"]},
                after={"status": "pending"},
                no_undo="it may have been sent by now; Novu drops what it had seen",
            )
            for row in self._mended(findings.dead)
        ]
        expired = [
            kit.Action(
                id=f"expire {row['delivery']}",
                what=f"expire {row['delivery']} ({row['workflow']}) of {row['since']}",
                before={"delivery": row["delivery"], "status": "pending", "due": row["due"]},
                after={"status": "suppressed"},
            )
            for row in findings.old
        ]
        return [*requeued, *expired]

    def do(self, target: kit.Target, action: kit.Action) -> Mapping[str, Any]:
        """One that was taken up meanwhile is left."""
        statement = _REQUEUE if action.before["status"] == "dead" else _EXPIRE
        with postgresql.connected(target, _SERVICE) as database:
            return {"deliveries": len(database.rows(statement, delivery=action.before["delivery"]))}

    def undo(self, target: kit.Target, action: kit.Action, result: Mapping[str, Any], snapshot: Any) -> None:
        with postgresql.connected(target, _SERVICE) as database:
            database.rows(_RESTORE, delivery=action.before["delivery"], due=action.before["due"])

    def verify(self, target: kit.Target) -> list[kit.Check]:
        found = self.check(target)
        dead = self._mended(found.dead)
        late = {CATEGORIES[row["priority"]]: row["oldest_due_seconds"] for row in found.waiting}.get("tickets", 0)
        return [
            kit.Check("none is dead whose cause was technical", not dead, f"{len(dead)} of {len(found.dead)}"),
            kit.Check("no ticket is late", late <= self.late, f"the oldest is due for {late} s"),
            kit.Check("no marketing is too old", not found.old, str(len(found.old))),
        ]

    def _mended(self, dead: Sequence[Row]) -> list[Row]:
        """Those whose cause is gone, or is no matter of the message."""
        return [row for row in dead if row["reason"] in TECHNICAL.union(self.reason)]


app = kit.command(NotificationBacklog)
if __name__ == "__main__":
    app()
