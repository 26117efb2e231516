"""`python -m runbooks.rds_failover`: where databases run, and away from an ill zone to their standbys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

import typer

from runbooks import _kit as kit
from runbooks._kit import postgresql, rds
from runbooks._kit.cloudwatch import points
from runbooks._kit.target import until

# A transaction that has an id was written: on a standby it is refused.


@dataclass(frozen=True, slots=True)
class Database:
    """Where a database's instance runs; ``behind`` says how many seconds each read replica is."""

    service: str
    instance: str
    status: str
    multi_az: bool
    zone: str
    standby: str
    pending: Sequence[str]
    behind: str
    last: str


@dataclass(frozen=True, slots=True)
class Found:
    """The databases that were named."""

    databases: Sequence[Database]

    def tables(self) -> list[kit.Table]:
        columns = ("service", "instance", "status", "zone", "standby", "pending", "read_replicas_behind", "last_event")
        rows = [
            (each.service, each.instance, each.status, each.zone, each.standby or "none", ", ".join(each.pending),
             each.behind, each.last)
            for each in self.databases
        ]  # fmt: skip
        return [kit.Table("databases", columns, rows)]


@dataclass(frozen=True, kw_only=True)
class RdsFailover(kit.Runbook[Found]):
    """Fail databases over to their standbys, away from the zone that is named.

    One after the other, and the next only when the one before is available again. Without a zone it only looks.
    """

    aws = frozenset({"rds:DescribeDBInstances", "rds:DescribeEvents", "rds:RebootDBInstance",
                     "cloudwatch:GetMetricStatistics"})  # fmt: skip
    cap = 5

    service: Annotated[list[str], typer.Option(help="A service whose database is meant; may be repeated.")]
    away_from: Annotated[str, typer.Option(help="The zone to leave, as the dry run shows it.")] = ""
    with_pending: Annotated[
        bool, typer.Option("--with-pending", help="Also with changes that wait: the reboot applies them.")
    ] = False
    patience: Annotated[float, typer.Option(min=0, help="Seconds that one failover may take.")] = 300.0

    def check(self, target: kit.Target) -> Found:
        databases = [_database(target, service) for service in self.service]
        for each in databases:
            if each.zone == self.away_from:
                self._possible(each)
        return Found(databases)

    def plan(self, findings: Found) -> list[kit.Action]:
        return [
            kit.Action(
                id=f"fail {each.instance} over from {each.zone}",
                what=f"fail {each.instance} over from {each.zone} to {each.standby}",
                before={"service": each.service, "zone": each.zone},
                after={"zone": each.standby},
            )
            for each in findings.databases
            if each.zone == self.away_from
        ]

    def do(self, target: kit.Target, action: kit.Action) -> Mapping[str, Any]:
        return {"zone": self._fail_over(target, action.before["service"], action.before["zone"])}

    def undo(self, target: kit.Target, action: kit.Action, result: Mapping[str, Any], snapshot: Any) -> None:
        now = _database(target, action.before["service"])
        if now.zone != action.before["zone"]:
            self._possible(now)
            self._fail_over(target, now.service, now.zone)

    def verify(self, target: kit.Target) -> list[kit.Check]:
        checks = []
        for service in self.service:
            found = _database(target, service)
            refusal = postgresql.refusal_to_write(target, service)
            checks += [
                kit.Check(f"{service} runs elsewhere", found.zone != self.away_from, found.zone),
                kit.Check(f"{service} is available", found.status == "available", found.status),
                kit.Check(f"{service} takes writes", not refusal, refusal),
            ]
        return checks

    def _possible(self, database: Database) -> None:
        """Raises Refused where a reboot would be an outage, or more than a failover."""
        if not database.multi_az:
            raise kit.Refused(
                f"{database.instance} has no standby: a reboot is an outage of minutes, and moves nothing"
            )
        if database.status != "available":
            raise kit.Refused(f"{database.instance} is {database.status}: its standby may not be in step, wait for it")
        if database.pending and not self.with_pending:
            raise kit.Refused(
                f"{', '.join(database.pending)} of {database.instance} wait to be changed, and a reboot applies that: "
                "if that is meant, say --with-pending"
            )

    def _fail_over(self, target: kit.Target, service: str, zone: str) -> str:
        """Returns the zone it runs in now."""

        def elsewhere() -> bool:
            now = _database(target, service)
            return now.zone != zone and now.status == "available" and not postgresql.refusal_to_write(target, service)

        instance = target.operations.database_ids[service]
        target.client("rds").reboot_db_instance(DBInstanceIdentifier=instance, ForceFailover=True)
        if not until(elsewhere, seconds=self.patience, every=5):
            raise RuntimeError(f"{instance} is not in use in another zone {self.patience:g} s after it was failed over")
        return _database(target, service).zone


def _database(target: kit.Target, service: str) -> Database:
    found = rds.instance(target, service)
    told = rds.events(target, found.id, minutes=180)
    return Database(
        service=service,
        instance=found.id,
        status=found.status,
        multi_az=found.facts["MultiAZ"],
        zone=found.facts["AvailabilityZone"],
        standby=found.facts.get("SecondaryAvailabilityZone", ""),
        pending=sorted(found.pending),
        behind=", ".join(_behind(target, each) for each in found.facts.get("ReadReplicaDBInstanceIdentifiers", [])),
        last=told[0]["Message"] if told else "",
    )


def _behind(target: kit.Target, replica: str) -> str:
    found = points(target, "AWS/RDS", "ReplicaLag", {"DBInstanceIdentifier": replica}, during=timedelta(minutes=10))
    return f"{replica} {max(value for _, value in found):g} s" if found else f"{replica} says nothing"


app = kit.command(RdsFailover)
if __name__ == "__main__":
    app()
