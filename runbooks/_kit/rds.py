"""The RDS instances behind the databases, by the names of their services."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from runbooks._kit.model import Refused
from runbooks._kit.target import Target


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance as RDS describes it."""

    id: str
    facts: dict[str, Any]

    @property
    def status(self) -> str:
        return str(self.facts["DBInstanceStatus"])

    @property
    def address(self) -> str:
        """Where it is reached; empty while it is being made."""
        return str(self.facts.get("Endpoint", {}).get("Address", ""))

    @property
    def pending(self) -> dict[str, Any]:
        """What waits to be applied, by RDS's names."""
        return dict(self.facts.get("PendingModifiedValues") or {})


def instance(target: Target, service: str) -> Instance:
    """The instance of ``service``. Raises Refused for a service without one, and what RDS answers."""
    ids = target.operations.database_ids
    if service not in ids:
        raise Refused(f"there is no database {service!r}; databases are {', '.join(sorted(ids))}")
    return described(target, ids[service])


def described(target: Target, instance_id: str) -> Instance:
    """The instance of this id. Raises what RDS answers."""
    found = target.client("rds").describe_db_instances(DBInstanceIdentifier=instance_id)
    return Instance(instance_id, found["DBInstances"][0])


def looked_for(target: Target, instance_id: str) -> Instance | None:
    """The instance of this id, None where there is none."""
    try:
        return described(target, instance_id)
    except ClientError as error:
        if error.response["Error"]["Code"] != "DBInstanceNotFound":
            raise
        return None


def events(target: Target, instance_id: str, *, minutes: int) -> Sequence[dict[str, Any]]:
    """What RDS says that happened to it lately, the newest first."""
    told = target.client("rds").describe_events(
        SourceIdentifier=instance_id, SourceType="db-instance", Duration=minutes
    )
    return sorted(told["Events"], key=lambda event: event["Date"], reverse=True)


def window(target: Target, instance_id: str) -> tuple[str, str]:
    """From when until when it can be restored, ISO 8601; empty when there are no automated backups."""
    backups = target.client("rds").describe_db_instance_automated_backups(DBInstanceIdentifier=instance_id)
    for each in backups["DBInstanceAutomatedBackups"]:
        if "LatestTime" in (found := each.get("RestoreWindow", {})):
            return found["EarliestTime"].isoformat(), found["LatestTime"].isoformat()
    return "", ""
