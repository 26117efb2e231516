"""RDS instances of an environment: the simulated ones, with what the simulation leaves out added from their state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.runbooks.environment import Environment

GIB = 2**30


@dataclass
class Instances:
    """``extra`` of an instance is merged into its description; RDS's events and failovers are not simulated."""

    environment: Environment
    extra: dict[str, dict[str, Any]] = field(default_factory=dict)
    told: list[dict[str, Any]] = field(default_factory=list)
    failovers: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.environment.answers |= {
            "rds:DescribeDBInstances": self._described,
            "rds:DescribeEvents": self._events,
            "rds:ModifyDBInstance": self._modified,
            "rds:RebootDBInstance": self._rebooted,
        }

    def create(self, service: str, *, size: int = 100, **extra: Any) -> str:
        """An instance for the database of ``service``; returns its id."""
        name = f"{self.environment.name}-{service}"
        self.environment.aws("rds").create_db_instance(
            DBInstanceIdentifier=name,
            DBInstanceClass="db.t4g.medium",
            Engine="postgres",
            MasterUsername="owner",
            MasterUserPassword="of-no-use",
            AllocatedStorage=size,
            MaxAllocatedStorage=size + 10,
        )
        self.extra[name] = extra
        self.environment.write(databaseIds={**self.environment.record["databaseIds"], service: name})
        return name

    def copy(self, source: str, name: str) -> None:
        """What a restore makes of ``source``; what it is like is said by its ``extra``."""
        self.environment.aws("rds").restore_db_instance_to_point_in_time(
            SourceDBInstanceIdentifier=source, TargetDBInstanceIdentifier=name, UseLatestRestorableTime=True
        )

    def free(self, instance: str, *gib: float) -> None:
        """What was free, an hour between each and the next, until now."""
        now = datetime.now(UTC)
        self.environment.aws("cloudwatch").put_metric_data(
            Namespace="AWS/RDS",
            MetricData=[
                {
                    "MetricName": "FreeStorageSpace",
                    "Dimensions": [{"Name": "DBInstanceIdentifier", "Value": instance}],
                    "Timestamp": now - timedelta(hours=len(gib) - 1 - number),
                    "Value": each * GIB,
                }
                for number, each in enumerate(gib)
            ],
        )

    def facts(self, instance: str) -> dict[str, Any]:
        """How it is described."""
        described = self.environment.aws("rds").describe_db_instances(DBInstanceIdentifier=instance)
        return {**described["DBInstances"][0], **self.extra[instance]}

    def tell(self, instance: str, message: str, *, hours_ago: float = 0) -> None:
        """RDS says that something happened."""
        date = datetime.now(UTC) - timedelta(hours=hours_ago)
        self.told.append({"SourceIdentifier": instance, "Message": message, "Date": date})

    def _described(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        return {"DBInstances": [self.facts(asked["DBInstanceIdentifier"])]}

    def _events(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        since = datetime.now(UTC) - timedelta(minutes=asked["Duration"])
        of = asked["SourceIdentifier"]
        return {"Events": [each for each in self.told if each["SourceIdentifier"] == of and each["Date"] > since]}

    def _modified(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        self.environment.aws("rds").modify_db_instance(**asked)
        self.tell(asked["DBInstanceIdentifier"], "Finished applying modification to allocated storage.")
        return {}

    def _rebooted(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        instance = asked["DBInstanceIdentifier"]
        assert asked["ForceFailover"]
        zones = self.extra[instance]
        zones["AvailabilityZone"], zones["SecondaryAvailabilityZone"] = (
            zones["SecondaryAvailabilityZone"],
            zones["AvailabilityZone"],
        )
        self.failovers.append(instance)
        return {}
