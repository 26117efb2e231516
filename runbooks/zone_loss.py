"""`python -m runbooks.zone_loss`: nodes that are gone with their zone; as many in the zones that are left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from runbooks import _kit as kit
from runbooks._kit import machines, minimums
from runbooks._kit.kubernetes import Cluster, Node
from runbooks._kit.machines import NodeGroup
from runbooks._kit.minimums import Memory, key
from runbooks._kit.target import settled

_GONE = "terminated"


@dataclass(frozen=True, slots=True)
class Found:
    """The nodes with the state of their machines, and the groups that buy machines."""

    nodes: Sequence[Node]
    states: Mapping[str, str]
    groups: Sequence[NodeGroup]
    memory: Memory

    @property
    def alive(self) -> set[str]:
        """Zones with a node that is ready."""
        return {each.zone for each in self.nodes if each.ready}

    @property
    def lost(self) -> set[str]:
        """Zones without one, as long as another has one: without any, it is no zone that is lost."""
        return {each.zone for each in self.nodes} - self.alive if self.alive else set()

    @property
    def machineless(self) -> list[Node]:
        """Nodes that are not ready because EC2 has ended their machine."""
        return [each for each in self.nodes if not each.ready and self.states.get(each.instance) == _GONE]

    def lost_of(self, group: NodeGroup) -> int:
        """How many of its nodes are in zones that are lost."""
        return sum(each.group == group.name and each.zone in self.lost for each in self.nodes)

    def tables(self) -> list[kit.Table]:
        counted = Counter((each.zone, each.group, each.ready) for each in self.nodes)
        zones = [
            (zone, group or "Karpenter", counted[zone, group, True], counted[zone, group, False])
            for zone, group in sorted({(each.zone, each.group) for each in self.nodes})
        ]
        ill = [
            (each.name, each.zone, each.instance, self.states.get(each.instance))
            for each in self.nodes
            if not each.ready
        ]
        groups = [(each.name, each.least, each.desired, each.most, each.status) for each in self.groups]
        return [
            kit.Table("zones", ("zone", "group", "ready", "not_ready"), zones),
            kit.Table("nodes that are not ready", ("node", "zone", "instance", "state"), ill),
            kit.Table("groups", ("group", "least", "desired", "most", "status"), groups),
        ]


@dataclass(frozen=True, kw_only=True)
class ZoneLoss(kit.Runbook[Found]):
    """Make room in the other zones for the nodes of a lost one, and remove nodes whose machine is gone; go back after.

    A node whose machine EC2 has not ended is never removed, for its pods may still run.
    """

    aws = frozenset({*machines.LOOKS, *machines.CHANGES, "ec2:DescribeInstances"})
    cap = 50

    patience: Annotated[float, typer.Option(min=0, help="Seconds that new nodes may take to be ready.")] = 600.0

    def check(self, target: kit.Target) -> Found:
        with Cluster.connected(target) as cluster:
            nodes, memory = cluster.nodes(), cluster.remembered(self.name())
        groups = list(machines.node_groups(target).values())
        return Found(nodes, machines.states(target, [each.instance for each in nodes]), groups, memory)

    def plan(self, findings: Found) -> list[kit.Action]:
        return [*self._sizes(findings), *map(self._removed, findings.machineless)]

    def _sizes(self, findings: Found) -> list[kit.Action]:
        """More while a zone is lost, as before when it has ready nodes again."""
        found = []
        for group in findings.groups:
            before = findings.memory.get(key(group))
            wanted = (before or group.told)["desired"] + findings.lost_of(group)
            least = min(wanted, group.most)
            if findings.lost_of(group) and group.least < least:
                zones = sorted(findings.lost)
                found.append(minimums.changed("widen", group, least, findings.memory, zones=zones))
            elif before and not findings.lost and findings.alive.issuperset(before["zones"]):
                found.append(minimums.restored(group, findings.memory))
        return found

    def _removed(self, node: Node) -> kit.Action:
        return kit.Action(
            id=f"remove node {node.name} of {node.instance}",
            what=f"remove node {node.name} in {node.zone}: its machine {node.instance} is {_GONE}",
            before={"node": node.name, "uid": node.uid, "instance": node.instance},
            after={"node": None},
            no_undo="its machine is gone; another one comes with a name of its own",
        )

    def do(self, target: kit.Target, action: kit.Action) -> Mapping[str, Any]:
        if "node" not in action.before:
            return minimums.carry_out(target, action, by=self.name())
        with Cluster.connected(target) as cluster:
            cluster.remove_node(action.before["node"], action.before["uid"])
        return {}

    def undo(self, target: kit.Target, action: kit.Action, result: Mapping[str, Any], snapshot: Any) -> None:
        minimums.take_back(target, action, result, by=self.name())

    def verify(self, target: kit.Target) -> list[kit.Check]:
        now = settled(lambda: self.check(target), lambda found: not _short(found), seconds=self.patience, every=2)
        machineless = [each.name for each in now.machineless]
        return [
            kit.Check("as many nodes are ready as before", not _short(now), ", ".join(_short(now))),
            kit.Check("no node is without a machine", not machineless, ", ".join(machineless)),
        ]


def _short(found: Found) -> list[str]:
    """Groups with fewer nodes that are ready than there were before the loss."""
    ready = Counter(each.group for each in found.nodes if each.ready)
    wanted = {each.name: found.memory.get(key(each), each.told)["desired"] for each in found.groups}
    return [f"{name}: {ready[name]} of {least}" for name, least in wanted.items() if ready[name] < least]


app = kit.command(ZoneLoss)
if __name__ == "__main__":
    app()
