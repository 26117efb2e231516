"""`python -m runbooks.cache_failover`: which node of a cache is primary, and away from an ill one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from runbooks import _kit as kit
from runbooks._kit.elasticache import groups, metric
from runbooks._kit.target import until


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a replication group; ``behind`` are seconds, None when nothing is known."""

    group: str
    shard: str
    id: str
    role: str
    zone: str
    status: str
    failover: bool
    behind: float | None


@dataclass(frozen=True, slots=True)
class Found:
    """Every node of the environment's caches."""

    nodes: Sequence[Node]

    def replicas(self, primary: Node) -> list[Node]:
        """The others of its shard."""
        return [
            each
            for each in self.nodes
            if (each.group, each.shard) == (primary.group, primary.shard) and each.id != primary.id
        ]

    def tables(self) -> list[kit.Table]:
        columns = ("group", "shard", "node", "role", "zone", "status", "behind_seconds")
        rows = [
            (each.group, each.shard, each.id, each.role, each.zone, each.status, each.behind) for each in self.nodes
        ]
        return [kit.Table("nodes", columns, rows)]


@dataclass(frozen=True, kw_only=True)
class CacheFailover(kit.Runbook[Found]):
    """Make a replica of a cache its primary, in place of the node that is named.

    Nothing is oversold by it: PostgreSQL alone decides capacity. Without a node it only looks.
    """

    aws = frozenset({"elasticache:DescribeReplicationGroups", "elasticache:ListTagsForResource",
                     "elasticache:TestFailover", "cloudwatch:GetMetricStatistics"})  # fmt: skip
    cap = 5

    away_from: Annotated[list[str], typer.Option(help="A primary node to leave, by its id; may be repeated.")] = field(
        default_factory=list
    )
    most_behind: Annotated[
        float,
        typer.Option(min=0, help="Seconds of writes that may be forgotten: how far the best replica may be back."),
    ] = 5.0
    patience: Annotated[float, typer.Option(min=0, help="Seconds that one failover may take.")] = 600.0

    def check(self, target: kit.Target) -> Found:
        found = Found(_nodes(target))
        names = {each.id for each in found.nodes}
        if unknown := sorted(set(self.away_from) - names):
            raise kit.Refused(f"no cache has a node {', '.join(unknown)}; nodes are {', '.join(sorted(names))}")
        for each in self._to_leave(found):
            self._possible(each, found.replicas(each))
        return found

    def plan(self, findings: Found) -> list[kit.Action]:
        return [
            kit.Action(
                id=f"fail {each.group} {each.shard} over from {each.id}",
                what=f"fail {each.group} (shard {each.shard}) over from {each.id} in {each.zone}",
                before={"group": each.group, "shard": each.shard, "primary": each.id},
                after={"primary": "one of its replicas"},
                no_undo="it goes on with its new primary: the old one is replaced",
            )
            for each in self._to_leave(findings)
        ]

    def do(self, target: kit.Target, action: kit.Action) -> Mapping[str, Any]:
        group, old = action.before["group"], action.before["primary"]
        target.client("elasticache").test_failover(ReplicationGroupId=group, NodeGroupId=action.before["shard"])
        if not until(lambda: _primary(target, action) not in ("", old), seconds=self.patience, every=10):
            raise RuntimeError(f"{group} has no other primary {self.patience:g} s after it was failed over")
        return {"primary": _primary(target, action)}

    def verify(self, target: kit.Target) -> list[kit.Check]:
        nodes = _nodes(target)
        primaries = {each.id for each in nodes if each.role == "primary"}
        stayed = sorted(primaries & set(self.away_from))
        unwell = sorted({f"{each.group} is {each.status}" for each in nodes if each.status != "available"})
        return [
            kit.Check("another node is primary", not stayed, ", ".join(stayed)),
            kit.Check("every cache is available", not unwell, ", ".join(unwell)),
        ]

    def _to_leave(self, found: Found) -> list[Node]:
        return [each for each in found.nodes if each.role == "primary" and each.id in self.away_from]

    def _possible(self, primary: Node, replicas: Sequence[Node]) -> None:
        """Raises Refused where a failover would lose the cache, or more of it than was agreed."""
        if not primary.failover or not replicas:
            raise kit.Refused(f"{primary.group} has no replica that takes over by itself: a failover is not possible")
        if primary.status != "available":
            raise kit.Refused(f"{primary.group} is {primary.status}: it takes a failover only when it is available")
        known = [each.behind for each in replicas if each.behind is not None]
        if known and min(known) > self.most_behind:
            raise kit.Refused(
                f"the best replica of {primary.group} is {min(known):g} s behind, --most-behind says "
                f"{self.most_behind:g}: the writes between are forgotten; wait, or say that it may be so"
            )


def _nodes(target: kit.Target) -> list[Node]:
    return [
        Node(
            group=group["ReplicationGroupId"],
            shard=shard["NodeGroupId"],
            id=member["CacheClusterId"],
            role=member["CurrentRole"],
            zone=member["PreferredAvailabilityZone"],
            status=group["Status"],
            failover=group["AutomaticFailover"] == "enabled",
            behind=metric(target, member["CacheClusterId"], "ReplicationLag")
            if member["CurrentRole"] == "replica"
            else None,
        )
        for group in groups(target)
        for shard in group["NodeGroups"]
        for member in shard["NodeGroupMembers"]
    ]


def _primary(target: kit.Target, action: kit.Action) -> str:
    """The primary of the shard that ``action`` is about; empty while the group is not available."""
    shard = (action.before["group"], action.before["shard"])
    return next(
        (
            each.id
            for each in _nodes(target)
            if (each.group, each.shard) == shard and each.role == "primary" and each.status == "available"
        ),
        "",
    )


app = kit.command(CacheFailover)
if __name__ == "__main__":
    app()
