"""The RDS instances behind the databases, by the names of their services."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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
    def pending(self) -> dict[str, Any]:
        """What waits to be applied, by RDS's names."""
        return dict(self.facts.get("PendingModifiedValues") or {})


def instance(target: Target, service: str) -> Instance:
    """The instance of ``service``. Raises Refused for a service without one, and what RDS answers."""
    ids = target.operations.database_ids
    if service not in ids:
        raise Refused(f"there is no database {service!r}; databases are {', '.join(sorted(ids))}")
    described = target.client("rds").describe_db_instances(DBInstanceIdentifier=ids[service])
    return Instance(ids[service], described["DBInstances"][0])


def events(target: Target, instance_id: str, *, minutes: int) -> Sequence[dict[str, Any]]:
    """What RDS says that happened to it lately, the newest first."""
    told = target.client("rds").describe_events(
        SourceIdentifier=instance_id, SourceType="db-instance", Duration=minutes
    )
    return sorted(told["Events"], key=lambda event: event["Date"], reverse=True)
