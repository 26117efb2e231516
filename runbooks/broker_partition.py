"""`python -m runbooks.broker_partition`: events that wait; relays that hang are restarted, leaders of queues spread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import Annotated, Any

import httpx
import typer

from runbooks import _kit as kit
from runbooks._kit import postgresql
from runbooks._kit.kubernetes import Cluster, Size
from runbooks._kit.management import Described, Management
from runbooks._kit.postgresql import Row
from runbooks._kit.target import settled

# Services that have a relay (stacks/processes.py), and how old a row is when the alert rings (stacks/alerts.py).
SERVICES, STALLED_SECONDS = ("booking", "payment"), 60
_SAGA = "saga"
# Rows come due again after five minutes at most (services/common/outbox.py); the new pods need a moment before that.
_PATIENCE = 360.0
_STALLED = f"published_at IS NULL AND created_at < now() - interval '{STALLED_SECONDS} seconds'"
_WAITING = f"""
  SELECT destination, count(*) FILTER (WHERE published_at IS NULL)::int AS waiting,
         min(created_at) FILTER (WHERE published_at IS NULL)::text AS since,
         count(*) FILTER (WHERE {_STALLED})::int AS stalled,
         max(created_at) FILTER (WHERE {_STALLED}) AS newest_stalled,
         count(*) FILTER (WHERE {_STALLED} AND available_at <= now())::int AS untaken,
         count(published_at)::int AS published_lately
  FROM outbox WHERE published_at IS NULL OR published_at > now() - interval '{STALLED_SECONDS} seconds'
  GROUP BY 1 ORDER BY 1"""
_LEADERS = "spread the leaders of queues"
_REMEDY = (
    "a restart of relays would not help. Amazon MQ replaces a node by itself and an election takes a minute: do not "
    "reboot; after ten minutes ask AWS's support, after five without a leader escalate (runbooks/broker_partition.md)"
)


@dataclass(frozen=True, slots=True)
class Lane:
    """What a service has to say to one destination, and the relay that says it."""

    service: str
    row: Row
    pods: int
    restarted: datetime | None

    @property
    def relay(self) -> str:
        """What is to be thought of the relay; empty while nothing of this has waited for too long."""
        if not self.row["stalled"]:
            return ""
        if not self.pods:
            return "paused"
        if self.row["published_lately"]:
            return "late"
        # It takes the rows up, and Step Functions takes none of them. A channel to the broker may hang instead.
        if self.row["destination"] == _SAGA and not self.row["untaken"]:
            return "refused"
        if self.restarted and self.restarted > self.row["newest_stalled"]:
            return "restarted since"
        return "hangs"


@dataclass(frozen=True, slots=True)
class Found:
    """What waits in the outboxes, and what the broker says of its nodes and queues."""

    lanes: Sequence[Lane]
    nodes: Sequence[Described]
    queues: Sequence[Described]

    @property
    def hanging(self) -> dict[str, Lane]:
        """For each service whose relay hangs, something that it does not say."""
        return {each.service: each for each in self.lanes if each.relay == "hangs"}

    @property
    def stalled(self) -> list[str]:
        """What has waited for too long, in words."""
        return [
            f"{each.service}: {each.row['stalled']} for {each.row['destination']}, relay: {each.relay}"
            for each in self.lanes
            if each.relay
        ]

    @property
    def ill(self) -> list[str]:
        """Why the broker would not take every event, or might soon not; nothing when all is well with it."""
        return [*filter(None, map(_ill_node, self.nodes)), *filter(None, map(_ill_queue, self.queues))]

    @property
    def leaders(self) -> dict[str, int]:
        """How many queues each node leads."""
        led = Counter(each.get("leader") for each in self.queues)
        return {each["name"]: led[each["name"]] for each in self.nodes}

    @property
    def share(self) -> int:
        """The most queues that a node leads when leaders are spread: RabbitMQ moves those beyond that and no others
        (rabbit_amqqueue, ``rebalance/3``).
        """
        return ceil(sum(self.leaders.values()) / len(self.nodes))

    def tables(self) -> list[kit.Table]:
        rows = ("destination", "waiting", "since", "stalled", "published_lately")
        waiting = [(each.service, *(each.row[name] for name in rows), each.pods, each.relay) for each in self.lanes]
        leaders = self.leaders
        nodes = [
            (each["name"], str(each["running"]), ", ".join(each.get("partitions", ())), leaders[each["name"]])
            for each in self.nodes
        ]
        queues = [
            (each["name"], each.get("leader"), len(each.get("online", ())), len(each.get("members", ())))
            for each in self.queues
        ]
        return [
            kit.Table("outboxes", ("service", *rows, "pods", "relay"), waiting),
            kit.Table("nodes", ("node", "running", "does_not_see", "leads"), nodes),
            kit.Table("quorum queues", ("queue", "leader", "online", "members"), queues),
        ]


@dataclass(frozen=True, kw_only=True)
class BrokerPartition(kit.Runbook[Found]):
    """Restart relays that publish nothing while the broker is well, and spread the leaders of queues over its nodes.

    Nothing is restarted while the broker itself is ill. Nor is a relay that publishes, if late, or one that only Step
    Functions refuses: its log says why. Once is enough until what was written later has waited for too long as well.
    """

    patience: Annotated[float, typer.Option(min=0, help="Seconds until all that waits must be published.")] = _PATIENCE

    def check(self, target: kit.Target) -> Found:
        try:
            found = self._look(target)
        except httpx.TransportError as error:
            raise kit.Refused(f"the broker does not answer ({error}): {_REMEDY}") from error
        if found.hanging and found.ill:
            raise kit.Refused(f"{'; '.join(found.ill)}: {_REMEDY}")
        return found

    def _look(self, target: kit.Target) -> Found:
        with Cluster.connected(target) as cluster:
            sizes, restarts = cluster.sizes(), cluster.restarts()
        if missing := [name for name in map(_relay, SERVICES) if name not in sizes]:
            raise kit.Refused(f"namespace {target.operations.namespace} has no Deployment {', '.join(missing)}")
        lanes = [
            lane
            for service in SERVICES
            for lane in _lanes(target, service, sizes[_relay(service)], restarts.get(_relay(service)))
        ]
        with Management.connected(target) as broker:
            quorum = [each for each in broker.queues() if each.get("type") == "quorum"]
            return Found(lanes, broker.nodes(), quorum)

    def plan(self, findings: Found) -> list[kit.Action]:
        actions = [_restart(service, lane.restarted) for service, lane in findings.hanging.items()]
        if not findings.ill and max(findings.leaders.values()) > findings.share:
            actions.append(_spread(findings))
        return actions

    def do(self, target: kit.Target, action: kit.Action) -> Mapping[str, Any]:
        if action.id == _LEADERS:
            with Management.connected(target) as broker:
                broker.rebalance()
            return {}
        at = datetime.now(UTC)
        with Cluster.connected(target) as cluster:
            cluster.restart(action.before["deployment"], at)
        return {"restarted": str(at)}

    def verify(self, target: kit.Target) -> list[kit.Check]:
        now = settled(
            lambda: self._look(target),
            lambda found: not found.stalled and not found.ill,
            seconds=self.patience,
            every=2,
        )
        return [
            kit.Check("nothing waits to be published for more than a minute", not now.stalled, "; ".join(now.stalled)),
            kit.Check("every node runs and every queue has its leader", not now.ill, "; ".join(now.ill)),
        ]


def _relay(service: str) -> str:
    return f"{service}-relay"


def _lanes(target: kit.Target, service: str, size: Size, restarted: datetime | None) -> list[Lane]:
    with postgresql.connected(target, service) as database:
        return [Lane(service, row, size.pods, restarted) for row in database.rows(_WAITING)]


def _ill_node(node: Described) -> str:
    name = node["name"]
    if not node["running"]:
        return f"node {name} does not run"
    if partitions := node.get("partitions"):
        return f"node {name} does not see {', '.join(partitions)}"
    if node.get("mem_alarm") or node.get("disk_free_alarm"):
        return f"node {name} is short of memory or disk and blocks publishers (runbooks/broker_memory_alarm.md)"
    return ""


def _ill_queue(queue: Described) -> str:
    online, members = len(queue.get("online", ())), len(queue.get("members", ()))
    if not queue.get("leader"):
        return f"queue {queue['name']} has no leader"
    # It confirms what a majority has (rabbitmq.com, "Quorum Queues").
    if online * 2 <= members:
        return f"queue {queue['name']} has {online} of {members} members online, which is no majority"
    return ""


def _restart(service: str, before: datetime | None) -> kit.Action:
    return kit.Action(
        id=f"restart {_relay(service)}",
        what=f"restart {_relay(service)}, which publishes nothing of what waits",
        before={"deployment": _relay(service), "restarted": before and str(before)},
        after={"restarted": "now"},
        no_undo="nothing needs it: rows are leased, and consumers recognise what comes twice",
    )


def _spread(findings: Found) -> kit.Action:
    return kit.Action(
        id=_LEADERS,
        what=f"{_LEADERS} over {len(findings.nodes)} nodes, {findings.share} on each at most",
        before={"leads": findings.leaders},
        after={"most": findings.share},
        no_undo="any node may lead, and an election moves leaders as well",
    )


app = kit.command(BrokerPartition)
if __name__ == "__main__":
    app()
