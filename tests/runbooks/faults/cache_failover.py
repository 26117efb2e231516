"""Two caches whose primaries are ill, and one of another environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runbooks.cache_failover import CacheFailover
from tests.runbooks.bench import Bench
from tests.runbooks.environment import ACCOUNT, REGION, Environment
from tests.runbooks.faults import Fault

_ZONES = ("eu-west-3a", "eu-west-3b", "eu-west-3c")


@dataclass
class Caches:
    """Replication groups of three nodes; `-001` is primary at first, ``hosts`` are their addresses.

    The simulated AWS has no failover of them.
    """

    environment: Environment
    primaries: dict[str, str] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    hosts: dict[str, str] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.environment.answers |= {
            "elasticache:DescribeReplicationGroups": self._described,
            "elasticache:ListTagsForResource": self._tags,
            "elasticache:TestFailover": self._failed_over,
        }

    def create(self, role: str, *, owner: str = "") -> str:
        """A cache of the environment, or of ``owner``; returns its id."""
        group = f"{self.environment.name}-{role}"
        self.primaries[group], self.owners[group] = f"{group}-001", owner or self.environment.name
        return group

    def behind(self, node: str, seconds: float) -> None:
        self.measured(node, "ReplicationLag", seconds)

    def measured(self, node: str, metric: str, value: float, *, minutes_ago: float = 0) -> None:
        self.environment.aws("cloudwatch").put_metric_data(
            Namespace="AWS/ElastiCache",
            MetricData=[
                {
                    "MetricName": metric,
                    "Dimensions": [{"Name": "CacheClusterId", "Value": node}],
                    "Timestamp": datetime.now(UTC) - timedelta(minutes=minutes_ago),
                    "Value": value,
                }
            ],
        )

    def _described(self, _: Mapping[str, Any]) -> dict[str, Any]:
        return {"ReplicationGroups": [self._group(group) for group in self.primaries]}

    def _group(self, group: str) -> dict[str, Any]:
        members = [
            {
                "CacheClusterId": f"{group}-00{number}",
                "CurrentRole": "primary" if f"{group}-00{number}" == self.primaries[group] else "replica",
                "PreferredAvailabilityZone": zone,
            }
            for number, zone in enumerate(_ZONES, start=1)
        ]
        return {
            "ReplicationGroupId": group,
            "ARN": f"arn:aws:elasticache:{REGION}:{ACCOUNT}:replicationgroup:{group}",
            "Status": "available",
            "AutomaticFailover": "enabled",
            "NodeGroups": [
                {
                    "NodeGroupId": "0001",
                    "NodeGroupMembers": members,
                    "PrimaryEndpoint": {"Address": self.hosts.get(group, ""), "Port": 6379},
                }
            ],
            **self.extra,
        }

    def _tags(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        return {"TagList": [{"Key": "Environment", "Value": self.owners[asked["ResourceName"].rpartition(":")[2]]}]}

    def _failed_over(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        group = asked["ReplicationGroupId"]
        self.primaries[group] = f"{group}-002" if self.primaries[group].endswith("1") else f"{group}-001"
        return {"ReplicationGroup": self._group(group)}


@pytest.fixture
def caches(environment: Environment) -> Caches:
    made = Caches(environment)
    made.create("strange", owner="prod")
    return made


@pytest.fixture
def cache_failover(environment: Environment, caches: Caches, tmp_path: Path) -> Fault:
    ill = {group: f"{group}-001" for group in (caches.create("admission"), caches.create("reads"))}
    return Fault(
        Bench(CacheFailover(away_from=list(ill.values()), patience=0), environment, tmp_path),
        state=lambda: dict(caches.primaries),
        mended=lambda: not set(ill.values()) & set(caches.primaries.values()),
    )
