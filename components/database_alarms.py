"""The alarms of one database: what runs out, what falls behind, and what makes a failover due."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.alarm import alarm, notice
from components.context import Context
from components.severity import Severity

_GIB = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseAlarmsArgs:
    """``max_connections`` is what the instance accepts, ``storage_gib`` what it starts with."""

    service: str
    instance_id: pulumi.Input[str]
    max_connections: int
    storage_gib: int
    replica_id: pulumi.Input[str] | None


def make(name: str, args: DatabaseAlarmsArgs, *, context: Context, opts: pulumi.ResourceOptions) -> None:
    """The alarms of the instance and, if there is one, of its replica."""
    page, ticket = Severity.PAGE, Severity.TICKET
    connections, storage = args.max_connections * 0.8, args.storage_gib * _GIB * 0.1
    replica = args.replica_id
    for role, says, runbook, metric, severity, above, below, of in (
        (
            "connections",
            "80 % of the connections are taken.",
            "database_connections_exhausted",
            "DatabaseConnections",
            page,
            connections,
            None,
            args.instance_id,
        ),
        (
            "storage",
            "Less than a tenth of the storage is free.",
            "rds_storage_full",
            "FreeStorageSpace",
            page,
            None,
            storage,
            args.instance_id,
        ),
        (
            "cpu",
            "The processor is busy: a failover or a larger class may be due.",
            "rds_failover",
            "CPUUtilization",
            ticket,
            90,
            None,
            args.instance_id,
        ),
        # Bytes: below this the kernel takes memory from the page cache, and reads go to the disk.
        (
            "memory",
            "Memory is nearly used up.",
            "rds_failover",
            "FreeableMemory",
            ticket,
            None,
            0.1 * _GIB,
            args.instance_id,
        ),
        # gp3 serves 3,000 requests a second: a queue of 64 is about 20 ms of waiting.
        ("disk", "Requests wait for the disk.", "rds_failover", "DiskQueueDepth", ticket, 64, None, args.instance_id),
        # Seconds.
        (
            "replica-lag",
            "The replica is behind: reports are old, and it cannot take over.",
            "rds_failover",
            "ReplicaLag",
            ticket,
            60,
            None,
            replica,
        ),
    ):
        if of is None:
            continue
        alarm(
            f"{name}-{role}",
            context=context,
            says=f"{args.service}: {says}",
            runbook=runbook,
            namespace="AWS/RDS",
            metric=metric,
            dimensions={"DBInstanceIdentifier": of},
            above=above,
            below=below,
            severity=severity,
            opts=opts,
        )
    notice(
        f"{name}-failure",
        context=context,
        says=f"{args.service}: RDS says that the instance has failed.",
        runbook="rds_point_in_time_restore",
        # RDS User Guide, "Amazon RDS event categories and event messages".
        pattern={
            "source": ["aws.rds"],
            "detail-type": ["RDS DB Instance Event"],
            "detail": {"EventCategories": ["failure"], "SourceIdentifier": [args.instance_id]},
        },
        shows={"instance": "$.detail.SourceIdentifier", "event": "$.detail.EventID", "message": "$.detail.Message"},
        opts=opts,
    )
