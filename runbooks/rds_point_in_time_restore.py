"""`python -m runbooks.rds_point_in_time_restore`: a database as it was, beside the one that is; then in its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from runbooks import _kit as kit
from runbooks._kit import postgresql, rds, way
from runbooks._kit.likeness import differences, explicit
from runbooks._kit.postgresql import Row
from runbooks._kit.rds import Instance
from runbooks._kit.target import until
from runbooks._kit.way import Way

# Workloads ask their database every few seconds; a proxy keeps connections that nobody uses.
_USED = """
  SELECT count(*) AS sessions FROM pg_stat_activity
  WHERE datname = current_database() AND usename IN (:first, :other) AND application_name <> 'runbook'
    AND (state IS DISTINCT FROM 'idle' OR state_change > now() - interval '30 seconds')"""
# What a service has written since a moment.
_SINCE = """
  SELECT '{table}, ' || status AS what, count(*) AS rows, {money}, min({at})::text AS first, max({at})::text AS last
  FROM {table} WHERE {at} > cast(:moment AS timestamptz) GROUP BY status{currency} ORDER BY status"""
_MONEY = {"money": "sum(amount)::bigint AS minor_units, currency", "currency": ", currency"}
_NO_MONEY = {"money": "NULL AS minor_units, NULL AS currency", "currency": ""}
_WRITTEN = {
    "booking": _SINCE.format(table="orders", at="created_at", **_MONEY),
    "payment": _SINCE.format(table="payments", at="updated_at", **_MONEY),
    "notification": _SINCE.format(table="deliveries", at="created_at", **_NO_MONEY),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A service's instance, and the one beside it, called ``id``, that is to be as it was.

    ``window`` is from when until when it can be restored; ``since`` is what was written after the moment.
    """

    service: str
    original: Instance
    window: tuple[str, str]
    id: str
    restored: Instance | None
    way: Way
    since: Sequence[Row]

    @property
    def ready(self) -> bool:
        return self.restored is not None and self.restored.status == "available"

    @property
    def differs(self) -> list[tuple[str, Any, Any]]:
        return differences(self.original, self.restored) if self.restored else []


@dataclass(frozen=True, slots=True)
class Found:
    """The databases that were named."""

    databases: Sequence[Database]

    def tables(self) -> list[kit.Table]:
        rows = [
            (each.service, each.original.id, *each.window, each.id or None,
             each.restored.status if each.restored else None, each.way.proxy or None, each.way.instance)
            for each in self.databases
        ]  # fmt: skip
        settings = [(each.service, *map(str, row)) for each in self.databases for row in each.differs]
        since = [(each.service, *row.values()) for each in self.databases for row in each.since]
        columns = ("service", "instance", "from", "until", "restored", "restored_status", "proxy", "in_use")
        return [
            kit.Table("databases, and from when until when they can be restored", columns, rows),
            kit.Table("settings that differ", ("service", "setting", "original", "restored"), settings),
            kit.Table(
                "written since, so not in what is restored: compare it with Stripe",
                ("service", "what", "rows", "minor_units", "currency", "first", "last"),
                since,
            ),
        ]


@dataclass(frozen=True, kw_only=True)
class RdsPointInTimeRestore(kit.Runbook[Found]):
    """Restore databases to a moment, beside those in use; then lead their services to what was restored.

    Without a moment it only looks. The original stays as it is.
    """

    aws = frozenset(
        {
            *("rds:DescribeDBInstances", "rds:DescribeDBInstanceAutomatedBackups", "rds:DescribeDBProxies"),
            *("rds:DescribeDBProxyTargets", "rds:RestoreDBInstanceToPointInTime"),
            *("rds:DeregisterDBProxyTargets", "rds:RegisterDBProxyTargets", "secretsmanager:PutSecretValue"),
        }
    )
    # An instance of hundreds of GiB takes its time.
    minutes = 120

    service: Annotated[list[str], typer.Option(help="A service whose database is meant; may be repeated.")]
    to: Annotated[str, typer.Option(help="The moment, with its zone: 2026-11-28T03:14:00+00:00.")] = ""
    cut_over: Annotated[
        list[str], typer.Option(help="A service whose restored database takes over; may be repeated.")
    ] = field(default_factory=list)
    patience: Annotated[float, typer.Option(min=0, help="Seconds that a restore may take.")] = 5400.0

    def check(self, target: kit.Target) -> Found:
        if unknown := sorted(set(self.cut_over) - set(self.service)):
            raise kit.Refused(f"--cut-over names {', '.join(unknown)}, and --service does not: name it in both")
        found = self._found(target)
        for each in found.databases:
            if each.service in self.cut_over:
                self._possible(target, each)
            elif self.to and not each.restored:
                _within(each, self.to)
        return found

    def plan(self, findings: Found) -> list[kit.Action]:
        cuts = [action for each in findings.databases if each.service in self.cut_over for action in _cut_over(each)]
        restores = [
            kit.Action(
                id=f"restore {each.id}",
                what=f"restore {each.original.id} to {self.to} as {each.id}, beside it",
                before={"service": each.service, "restored": None},
                after={"restored": each.id},
                no_undo="what was restored stays beside the original: it harms nobody, and a person deletes it",
            )
            for each in findings.databases
            if each.id and not each.ready
        ]
        return [*cuts, *restores]

    def do(self, target: kit.Target, action: kit.Action) -> Mapping[str, Any]:
        if "restored" in action.after:
            self._restore(target, action.before["service"], action.after["restored"])
        else:
            _lead(target, action, action.after)
        return {}

    def undo(self, target: kit.Target, action: kit.Action, result: Mapping[str, Any], snapshot: Any) -> None:
        """Refused while the service uses what was restored: it would write to both."""
        service, there = action.before["service"], action.after
        address = there.get("instance") or rds.described(target, there["leads_to"]).address
        if sessions := _in_use(target, service, address):
            raise kit.Stop(f"{sessions} sessions of {service} use what was restored: stop its workloads first")
        _lead(target, action, action.before)

    def verify(self, target: kit.Target) -> list[kit.Check]:
        checks = []
        for each in self._found(target).databases:
            wrong = ", ".join(name for name, _, _ in each.differs)
            checks += [
                kit.Check(f"{each.service} is restored", each.ready, each.id or "say the moment with --to"),
                kit.Check(f"{each.service} has the settings of the original", not wrong, wrong),
            ]
            if each.service in self.cut_over:
                left = ", ".join(action.what for action in _cut_over(each))
                checks.append(kit.Check(f"{each.service} is led to what was restored", not left, left))
                refusal = _refusal(target, each.service)
                checks.append(kit.Check(f"{each.service} logs in there and writes", not refusal, refusal))
        return checks

    def _found(self, target: kit.Target) -> Found:
        return Found([_database(target, service, _moment(self.to)) for service in self.service])

    def _possible(self, target: kit.Target, database: Database) -> None:
        """Raises Refused where a cut-over would lead to nothing, or two databases would be written to."""
        if not database.ready:
            raise kit.Refused(
                f"the database of {database.service} is not restored to {self.to or 'any moment'}: restore it first, "
                "without --cut-over, and look into it"
            )
        if database.differs:
            names = ", ".join(name for name, _, _ in database.differs)
            raise kit.Refused(
                f"{names} of {database.id} is not as on the original: make it so (rds modify-db-instance), or wait "
                "until RDS has"
            )
        if _cut_over(database) and (sessions := _in_use(target, database.service, database.original.address)):
            raise kit.Refused(
                f"{sessions} sessions of {database.service} use {database.original.id}: stop its workloads first, or "
                "some write there and some to what was restored (kubectl scale deploy --replicas 0)"
            )

    def _restore(self, target: kit.Target, service: str, new: str) -> None:
        """Begin it, unless it was begun, and wait for its end: a run that was cut short finds it by its id."""
        if rds.looked_for(target, new) is None:
            original = rds.instance(target, service)
            target.client("rds").restore_db_instance_to_point_in_time(
                SourceDBInstanceIdentifier=original.id,
                TargetDBInstanceIdentifier=new,
                RestoreTime=_moment(self.to),
                **explicit(original),
            )
        if not until(lambda: rds.described(target, new).status == "available", seconds=self.patience, every=20):
            raise RuntimeError(
                f"{new} is not available after {self.patience:g} s: a new dry run with the same --to goes on waiting"
            )


def _cut_over(database: Database) -> list[kit.Action]:
    """The proxy, if there is one, and the login; each only where it does not lead there yet."""
    if database.restored is None:
        return []
    service, now, then = database.service, database.way, database.way.to(database.restored)
    actions = []
    if now.leads_to != then.leads_to:
        actions.append(
            kit.Action(
                id=f"lead {now.proxy} to {then.leads_to}",
                what=f"lead the proxy {now.proxy} from {now.leads_to or 'nowhere'} to {then.leads_to}",
                before={"service": service, "proxy": now.proxy, "leads_to": now.leads_to},
                after={"leads_to": then.leads_to},
            )
        )
    if now.login() != then.login():
        actions.append(
            kit.Action(
                id=f"lead the login of {service} to {then.instance}",
                what=f"lead the login of {service} from {now.instance} to {then.instance}",
                before={"service": service, **now.login()},
                after=then.login(),
            )
        )
    return actions


def _lead(target: kit.Target, action: kit.Action, there: Mapping[str, str]) -> None:
    if "proxy" in action.before:
        way.lead(target, action.before["proxy"], there["leads_to"])
    else:
        way.write(target, action.before["service"], there)


def _moment(text: str) -> datetime | None:
    """None for no text. Raises Refused."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise kit.Refused(f"--to {text} is no moment: say it like 2026-11-28T03:14:00+00:00") from error
    if moment.tzinfo is None:
        raise kit.Refused(f"--to {text} has no zone, and an hour more or less is lost orders: end it with +00:00")
    return moment.astimezone(UTC)


def _within(database: Database, moment: str) -> None:
    """Raises Refused for a moment that RDS cannot restore to."""
    first, last = database.window
    wanted = _moment(moment)
    if not first or not wanted or not datetime.fromisoformat(first) <= wanted <= datetime.fromisoformat(last):
        raise kit.Refused(
            f"{database.original.id} can be restored to a moment from {first or 'never'} to {last or 'never'}, not to "
            f"{moment}: choose another, or a recovery point of AWS Backup"
        )


def _database(target: kit.Target, service: str, moment: datetime | None) -> Database:
    original = rds.instance(target, service)
    # The moment is in the name, so that whoever goes on finds the same one.
    new = f"{original.id}-at-{moment:%Y%m%d-%H%M%S}" if moment else ""
    return Database(
        service=service,
        original=original,
        window=rds.window(target, original.id),
        id=new,
        restored=rds.looked_for(target, new) if new else None,
        way=way.find(target, service),
        since=_since(target, service, original, moment) if moment else (),
    )


def _since(target: kit.Target, service: str, original: Instance, moment: datetime) -> Sequence[Row]:
    """Of the original, when it answers."""
    if service not in _WRITTEN:
        return ()
    try:
        with postgresql.connected(target, service, at=original.address) as database:
            return database.rows(_WRITTEN[service], moment=moment.isoformat())
    except postgresql.AWAY as error:
        unknown = f"it does not answer ({type(error).__name__}): all since then"
        return [{"what": unknown, "rows": None, "minor_units": None, "currency": None, "first": None, "last": None}]


def _in_use(target: kit.Target, service: str, address: str) -> int:
    """Sessions of the service on an instance; none on one that does not answer."""
    first = target.secret(target.operations.database_secret_arns[service])["username"].removesuffix("_b")
    try:
        with postgresql.connected(target, service, at=address) as session:
            return int(session.rows(_USED, first=first, other=f"{first}_b")[0]["sessions"])
    except postgresql.AWAY:
        return 0


def _refusal(target: kit.Target, service: str) -> str:
    """What keeps the service from writing where it is led now; empty when nothing does."""
    if (state := way.find(target, service).state) not in ("", "AVAILABLE"):
        return f"the proxy says {state}"
    wrong = postgresql.refusal_to_write(target, service)
    return f"{wrong} (a login that is younger than the moment: secret_rotation)" if wrong else ""


app = kit.command(RdsPointInTimeRestore)
if __name__ == "__main__":
    app()
