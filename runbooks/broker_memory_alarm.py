"""`python -m runbooks.broker_memory_alarm`: who fills the broker's memory; less in and more out, and back again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from runbooks import _kit as kit
from runbooks._kit import minimums
from runbooks._kit.kubernetes import Cluster, Size
from runbooks._kit.management import Described, Management
from runbooks._kit.minimums import Memory
from runbooks._kit.target import settled

# Deployments: who publishes, who works the most off, and whose pause makes orders wait (stacks/processes.py).
_RELAYS, _STARTS_SAGAS, _CONSUMER = ("payment-relay", "booking-relay"), "booking-relay", "notification-consumer"
_QUEUES_SHOWN = 5
_FACTS = ("mem_used", "mem_limit", "mem_alarm", "disk_free", "disk_free_limit", "disk_free_alarm")
_OF_QUEUES = ("name", "messages_ready", "messages_unacknowledged", "consumers", "memory")


@dataclass(frozen=True, slots=True)
class Found:
    """What the broker says of itself, and how many pods publish and consume."""

    nodes: Sequence[Described]
    queues: Sequence[Described]
    connections: Sequence[Described]
    sizes: Mapping[str, Size]
    memory: Memory

    @property
    def fullest(self) -> float:
        """The share of its limit that the fullest node uses; 1 and more blocks publishers."""
        return max(map(_share, self.nodes))

    @property
    def blocked(self) -> list[str]:
        """Users whose connections are not read from."""
        return sorted(_user(each) for each in self.connections if _blocked(each))

    @property
    def changed(self) -> list[Size]:
        """Those that this runbook made smaller or wider, and has not given back what they had."""
        return [each for each in self.sizes.values() if minimums.key(each) in self.memory]

    def tables(self) -> list[kit.Table]:
        nodes = [(each["name"], f"{_share(each):.0%}", *(each[fact] for fact in _FACTS)) for each in self.nodes]
        largest = sorted(self.queues, key=lambda each: -each.get("memory", 0))[:_QUEUES_SHOWN]
        queues = [tuple(each.get(fact) for fact in _OF_QUEUES) for each in largest]
        blocked, users = Counter(self.blocked), Counter(map(_user, self.connections))
        pods = [(each.deployment, each.least, each.most, each.ready) for each in self.sizes.values()]
        return [
            kit.Table("nodes", ("node", "full", *_FACTS), nodes),
            kit.Table("queues that hold the most", _OF_QUEUES, queues),
            kit.Table(
                "connections",
                ("user", "connections", "blocked"),
                [(user, count, blocked[user]) for user, count in users.most_common()],
            ),
            kit.Table("who publishes and consumes", ("deployment", "least", "most", "ready"), pods),
        ]


@dataclass(frozen=True, kw_only=True)
class BrokerMemoryAlarm(kit.Runbook[Found]):
    """Pause payment's relay and widen the consumer while the broker is short of memory or disk; go back afterwards.

    What a paused relay would send is safe in its outbox. Nothing is rebooted, and no queue is purged.
    """

    pause_booking: Annotated[
        bool, typer.Option("--pause-booking", help="Pause booking's relay, too: orders placed meanwhile wait.")
    ] = False
    consumers: Annotated[int, typer.Option(min=1, help=f"Pods of {_CONSUMER} at least, as far as its most goes.")] = 6
    # The alarm of CloudWatch rings at as much (components/broker_alarms.py).
    above: Annotated[
        float, typer.Option(min=0, max=1, help="The share of its limit at which a node is short of memory.")
    ] = 0.8
    below: Annotated[float, typer.Option(min=0, max=1, help="The share below which all goes back to what it was.")] = (
        0.5
    )
    patience: Annotated[float, typer.Option(min=0, help="Seconds that the broker may take to recover.")] = 300.0

    def check(self, target: kit.Target) -> Found:
        if self.below >= self.above:
            raise kit.Refused(
                f"--below is {self.below:g} and --above {self.above:g}: what is paused above must be resumed well below"
            )
        with Cluster.connected(target) as cluster:
            sizes, memory = cluster.sizes(), cluster.remembered(self.name())
        if missing := [name for name in (*_RELAYS, _CONSUMER) if name not in sizes]:
            raise kit.Refused(f"namespace {target.operations.namespace} has no Deployment {', '.join(missing)}")
        with Management.connected(target) as broker:
            nodes = [each for each in broker.nodes() if each["running"]]
            if silent := [each["name"] for each in nodes if "mem_used" not in each]:
                raise kit.Refused(
                    f"{', '.join(silent)} started this moment and does not say how full it is: look again"
                )
            return Found(
                nodes=nodes,
                queues=broker.queues(),
                connections=broker.connections(),
                sizes={name: sizes[name] for name in (*_RELAYS, _CONSUMER)},
                memory=memory,
            )

    def plan(self, findings: Found) -> list[kit.Action]:
        if findings.fullest >= self.above:
            return self._relief(findings)
        if findings.fullest < self.below:
            return [minimums.restored(each, findings.memory) for each in findings.changed]
        return []

    def _relief(self, findings: Found) -> list[kit.Action]:
        relays = [findings.sizes[name] for name in _RELAYS if name != _STARTS_SAGAS or self.pause_booking]
        pauses = [minimums.changed("pause", each, 0, findings.memory) for each in relays if each.least]
        consumer = findings.sizes[_CONSUMER]
        least = min(self.consumers, consumer.most or self.consumers)
        wider = consumer.least < least
        return [*pauses, *([minimums.changed("widen", consumer, least, findings.memory)] if wider else [])]

    def do(self, target: kit.Target, action: kit.Action) -> Mapping[str, Any]:
        return minimums.carry_out(target, action, by=self.name())

    def undo(self, target: kit.Target, action: kit.Action, result: Mapping[str, Any], snapshot: Any) -> None:
        minimums.take_back(target, action, result, by=self.name())

    def verify(self, target: kit.Target) -> list[kit.Check]:
        now = settled(
            lambda: self.check(target),
            lambda found: found.fullest < self.above and not found.blocked,
            seconds=self.patience,
            every=1,
        )
        needless = [each.deployment for each in now.changed] if now.fullest < self.below else []
        shares = ", ".join(f"{each['name']} {_share(each):.0%}" for each in now.nodes)
        return [
            kit.Check("every node has memory and disk to spare", now.fullest < self.above, shares),
            kit.Check("no publisher is blocked", not now.blocked, ", ".join(now.blocked)),
            kit.Check("what was changed is still needed", not needless, ", ".join(needless)),
        ]


def _share(node: Described) -> float:
    """Of memory, or of the disk that must stay free: what is closer to its limit."""
    shares = node["mem_used"] / node["mem_limit"], node["disk_free_limit"] / max(node["disk_free"], 1)
    return float(max(*shares, node["mem_alarm"] or node["disk_free_alarm"]))


def _blocked(connection: Described) -> bool:
    """Blocking are those that would be if they published (rabbitmq.com, "Blocked Connection Notifications")."""
    return connection.get("state") in ("blocking", "blocked")


def _user(connection: Described) -> str:
    """One that is about to close has lost its user."""
    return str(connection.get("user", "?"))


app = kit.command(BrokerMemoryAlarm)
if __name__ == "__main__":
    app()
