"""`python -m runbooks.rds_storage_full`: how long a database's storage lasts, and more of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from runbooks import _kit as kit
from runbooks._kit import postgresql, rds
from runbooks._kit.cloudwatch import points
from runbooks._kit.postgresql import Row
from runbooks._kit.target import settled

_GIB = 2**30
# The alarm's share (components/database_alarms.py).
_LOW = 0.1
# Amazon RDS User Guide, "Working with storage for Amazon RDS DB instances": by 10 % at least, the ceiling of
# autoscaling at least 10 % above the size (26 % so that it can work), and no second change within six hours.
_LEAST, _CEILING = 10, 1.26
_REST = timedelta(hours=6)
# States in which RDS takes a change of the storage; one that is full takes nothing else.
_CHANGEABLE = ("available", "storage-full")
_SLOTS = """
  SELECT slot_name AS slot, active, coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint AS kept
  FROM pg_replication_slots ORDER BY 3 DESC"""
_DROP = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = :slot AND NOT active"


@dataclass(frozen=True, slots=True)
class Found:
    """Sizes are in GiB, ``kept`` of a slot in bytes. ``rests_until`` is when RDS takes a change again, or empty."""

    instance: str
    status: str
    size: int
    ceiling: int
    pending: Mapping[str, Any]
    free: Sequence[tuple[datetime, float]]
    rests_until: str
    slots: Sequence[Row]

    @property
    def low(self) -> bool:
        """A full instance reports nothing any more."""
        return self.status == "storage-full" or (bool(self.free) and self.free[-1][1] < self.size * _LOW)

    @property
    def hours_left(self) -> float | None:
        """At the pace of what was seen; None when it does not shrink."""
        if len(self.free) < 2:
            return None
        (first, before), (last, now) = self.free[0], self.free[-1]
        lost = (before - now) / ((last - first).total_seconds() / 3600)
        return round(now / lost, 1) if lost > 0 else None

    def tables(self) -> list[kit.Table]:
        now = round(self.free[-1][1], 1) if self.free else None
        columns = ("instance", "status", "size_gib", "ceiling_gib", "free_gib", "hours_left", "pending", "rests_until")
        row = (
            *(self.instance, self.status, self.size, self.ceiling, now, self.hours_left),
            *(", ".join(sorted(self.pending)), self.rests_until),
        )
        slots = [(each["slot"], "yes" if each["active"] else "no", int(each["kept"])) for each in self.slots]
        return [
            kit.Table("storage", columns, [row]),
            kit.Table("replication slots", ("slot", "active", "kept_bytes"), slots),
        ]


@dataclass(frozen=True, kw_only=True)
class RdsStorageFull(kit.Runbook[Found]):
    """Give a database more storage, and drop replication slots that keep its log and that nobody reads.

    Storage grows without a restart. A slot is only ever dropped by its name.
    """

    aws = frozenset({"rds:DescribeDBInstances", "rds:DescribeEvents", "rds:ModifyDBInstance",
                     "cloudwatch:GetMetricStatistics"})  # fmt: skip

    service: Annotated[str, typer.Option(help="The service whose database the alarm names.")]
    grow_by: Annotated[int, typer.Option(min=_LEAST, max=100, help="Per cent by which the storage grows.")] = 30
    drop_slot: Annotated[
        list[str], typer.Option(help="A replication slot that nobody reads, to be dropped; may be repeated.")
    ] = field(default_factory=list)
    patience: Annotated[float, typer.Option(min=0, help="Seconds that RDS may take to begin.")] = 120.0

    def check(self, target: kit.Target) -> Found:
        found = rds.instance(target, self.service)
        slots = self._slots(target)
        return Found(
            instance=found.id,
            status=found.status,
            size=found.facts["AllocatedStorage"],
            ceiling=found.facts.get("MaxAllocatedStorage", 0),
            pending=found.pending,
            free=_free(target, found.id),
            rests_until=_rests_until(target, found.id),
            slots=slots,
        )

    def plan(self, findings: Found) -> list[kit.Action]:
        there = {row["slot"] for row in findings.slots}
        drops = [
            kit.Action(
                id=f"drop slot {slot}",
                what=f"drop the replication slot {slot}",
                before={"slot": slot},
                after={"slot": None},
                no_undo="the log that it kept is gone: who read it starts anew",
            )
            for slot in self.drop_slot
            if slot in there
        ]
        return [*self._growth(findings), *drops]

    def do(self, target: kit.Target, action: kit.Action) -> Mapping[str, Any]:
        if "slot" in action.before:
            secret = rds.instance(target, self.service).facts.get("MasterUserSecret", {}).get("SecretArn")
            if not secret:
                raise RuntimeError("RDS keeps no secret of the master user, who alone may drop a slot: ask its owner")
            with postgresql.as_master(target, self.service, secret) as database:
                if not database.rows(_DROP, slot=action.before["slot"]):
                    raise kit.Stop(f"{action.before['slot']} is read again, or gone")
            return {}
        ceiling = {"MaxAllocatedStorage": action.after["ceiling"]} if action.after["ceiling"] else {}
        target.client("rds").modify_db_instance(
            DBInstanceIdentifier=action.before["instance"],
            AllocatedStorage=action.after["size"],
            ApplyImmediately=True,
            **ceiling,
        )
        return {}

    def verify(self, target: kit.Target) -> list[kit.Check]:
        found = settled(lambda: self.check(target), lambda found: not self.plan(found), seconds=self.patience, every=5)
        kept = ", ".join(row["slot"] for row in found.slots if row["slot"] in self.drop_slot)
        grows = found.rests_until or "AllocatedStorage" in found.pending or found.status not in _CHANGEABLE
        says = f"{found.size} GiB, {found.status}"
        return [
            kit.Check("a tenth is free, or the storage grows", not found.low or bool(grows), says),
            kit.Check("the slots that were named are gone", not kept, kept),
        ]

    def _growth(self, findings: Found) -> list[kit.Action]:
        """Only where RDS would take it."""
        resting = findings.rests_until or "AllocatedStorage" in findings.pending
        if not findings.low or resting or findings.status not in _CHANGEABLE:
            return []
        size = math.ceil(findings.size * (100 + self.grow_by) / 100)
        # Without autoscaling there is no ceiling to be raised.
        ceiling = max(findings.ceiling, math.ceil(size * _CEILING)) if findings.ceiling else 0
        return [
            kit.Action(
                id=f"grow {findings.instance} from {findings.size} GiB",
                what=f"grow {findings.instance} from {findings.size} to {size} GiB, with a ceiling of {ceiling} GiB",
                before={"instance": findings.instance, "size": findings.size, "ceiling": findings.ceiling},
                after={"size": size, "ceiling": ceiling},
                no_undo="storage never shrinks (RDS): a smaller instance is a new one",
            )
        ]

    def _slots(self, target: kit.Target) -> list[Row]:
        """A full instance answers nobody, and can be grown all the same. Raises Refused for a slot in use."""
        try:
            with postgresql.connected(target, self.service) as database:
                slots = database.rows(_SLOTS)
        except postgresql.AWAY as error:
            if self.drop_slot:
                raise kit.Refused(
                    f"the database does not answer: grow it first, without --drop-slot ({error})"
                ) from error
            return []
        if active := sorted(row["slot"] for row in slots if row["active"] and row["slot"] in self.drop_slot):
            raise kit.Refused(f"somebody reads {', '.join(active)}: a slot in use is not dropped, ask its owner")
        return slots


def _free(target: kit.Target, instance: str) -> list[tuple[datetime, float]]:
    """Free GiB of the last three hours, the newest last."""
    found = points(
        target,
        "AWS/RDS",
        "FreeStorageSpace",
        {"DBInstanceIdentifier": instance},
        during=timedelta(hours=3),
        statistic="Minimum",
        period=300,
    )
    return [(at, value / _GIB) for at, value in found]


def _rests_until(target: kit.Target, instance: str) -> str:
    """When RDS takes a change of the storage again; empty when it does now."""
    told = rds.events(target, instance, minutes=int(_REST.total_seconds() / 60))
    changed = [event["Date"] for event in told if "allocated storage" in event["Message"].lower()]
    return (changed[0] + _REST).isoformat(timespec="minutes") if changed else ""


app = kit.command(RdsStorageFull)
if __name__ == "__main__":
    app()
