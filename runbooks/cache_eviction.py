"""`python -m runbooks.cache_eviction`: what fills a cache; an end for keys that lack theirs, or larger nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any

import redis
import typer

from runbooks import _kit as kit
from runbooks._kit.elasticache import Group, connected, groups, metric
from runbooks._kit.target import settled, until

# Per cent of the memory: the alarm's (components/cache.py).
_FULL = 85
# Kinds of keys, by the first part of their names, with how long their service keeps one after its last use.
LIVES: Mapping[str, timedelta] = {"room": timedelta(days=30)}
# Keys in one go: the cache has one thread, and buyers wait half a second for it.
_BATCH = 500
# Of each kind, keys whose size is asked for.
_WEIGHED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Keys whose names begin alike; ``endless`` have no time to live, ``size`` is the mean in bytes of some."""

    name: str
    keys: int
    endless: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """A cache; ``memory`` is the fullest node's, in per cent, ``larger`` are the types to which it can grow."""

    purpose: str
    group: str
    status: str
    node_type: str
    memory: float | None
    evictions: float | None
    larger: Sequence[str]
    kinds: Sequence[Kind]

    @property
    def endless(self) -> list[Kind]:
        """Kinds that have keys without an end, and whose service gives them one."""
        return [kind for kind in self.kinds if kind.endless and kind.name in LIVES]


@dataclass(frozen=True, slots=True)
class Found:
    """The caches that were named."""

    caches: Sequence[Cache]

    def tables(self) -> list[kit.Table]:
        columns = ("cache", "group", "status", "nodes", "memory_percent", "evictions", "can_grow_to")
        rows = [
            (each.purpose, each.group, each.status, each.node_type, each.memory, each.evictions, ", ".join(each.larger))
            for each in self.caches
        ]
        kinds = [
            (each.purpose, kind.name, kind.keys, kind.endless, kind.size, _said(kind.name))
            for each in self.caches
            for kind in sorted(each.kinds, key=lambda kind: -kind.keys * kind.size)
        ]
        columns_of_kinds = ("cache", "kind", "keys", "without_an_end", "bytes_each", "lives")
        return [kit.Table("caches", columns, rows), kit.Table("kinds of keys", columns_of_kinds, kinds)]


@dataclass(frozen=True, kw_only=True)
class CacheEviction(kit.Runbook[Found]):
    """Give keys that lack it the end that their service gives them, and a cache larger nodes. Nothing is flushed.

    Keys of a kind that nobody knows are shown, and left to their owner.
    """

    aws = frozenset(
        {
            *("elasticache:DescribeReplicationGroups", "elasticache:ListTagsForResource"),
            *("elasticache:ListAllowedNodeTypeModifications", "elasticache:ModifyReplicationGroup"),
            "cloudwatch:GetMetricStatistics",
        }
    )
    # Nodes are replaced one after the other.
    minutes = 60

    cache: Annotated[list[str], typer.Option(help="A cache, e.g. admission; may be repeated (default: all).")] = field(
        default_factory=list
    )
    node_type: Annotated[str, typer.Option(help="Grow the one cache that is named to nodes of this type.")] = ""
    most: Annotated[int, typer.Option(min=_BATCH, help="Keys of a cache that are looked at.")] = 200_000
    patience: Annotated[float, typer.Option(min=0, help="Seconds that a change of the nodes may take.")] = 2400.0

    def check(self, target: kit.Target) -> Found:
        if self.node_type and len(self.cache) != 1:
            raise kit.Refused("--node-type is about one cache: say which with --cache")
        found = self._found(target)
        for each in found.caches:
            if self.node_type not in ("", each.node_type):
                self._possible(each)
        return found

    def plan(self, findings: Found) -> list[kit.Action]:
        ends = [
            kit.Action(
                id=f"end {kind.name} of {each.purpose}",
                what=f"let keys of {each.purpose} called {kind.name}:… live {LIVES[kind.name].days} days from now",
                before={"cache": each.purpose, "kind": kind.name},
                after={"seconds": int(LIVES[kind.name].total_seconds())},
                no_undo="each has the end that its service gives it; without one it would fill the cache again",
            )
            for each in findings.caches
            for kind in each.endless
        ]
        growth = [
            kit.Action(
                id=f"grow {each.group} from {each.node_type}",
                what=f"replace the nodes of {each.group}, {each.node_type}, by {self.node_type}",
                before={"cache": each.purpose, "group": each.group, "node_type": each.node_type},
                after={"node_type": self.node_type},
            )
            for each in findings.caches
            if self.node_type not in ("", each.node_type)
        ]
        return [*ends, *growth]

    def do(self, target: kit.Target, action: kit.Action) -> Mapping[str, Any]:
        if "group" in action.before:
            self._change(target, action, action.after["node_type"])
            return {}
        given = 0
        with connected(target, _login(target, action.before["cache"])) as cache:
            for keys in _batches(cache, f"{action.before['kind']}:*"):
                with cache.pipeline(transaction=False) as commands:
                    for key in keys:
                        # Only where there is none: what its service has given stays.
                        commands.expire(key, action.after["seconds"], nx=True)
                    given += sum(commands.execute())
        return {"keys": given}

    def undo(self, target: kit.Target, action: kit.Action, result: Mapping[str, Any], snapshot: Any) -> None:
        self._change(target, action, action.before["node_type"])

    def verify(self, target: kit.Target) -> list[kit.Check]:
        return settled(
            lambda: self._checks(target),
            lambda checks: all(each.ok for each in checks),
            seconds=self.patience,
            every=30,
        )

    def _found(self, target: kit.Target) -> Found:
        known = target.operations.cache_secret_arns
        if unknown := sorted(set(self.cache) - set(known)):
            raise kit.Refused(f"no cache is called {', '.join(unknown)}; caches are {', '.join(sorted(known))}")
        return Found([_cache(target, purpose, self.most) for purpose in sorted(self.cache or known)])

    def _checks(self, target: kit.Target) -> list[kit.Check]:
        checks = []
        for each in self._found(target).caches:
            endless = ", ".join(f"{kind.endless} of {kind.name}" for kind in each.endless)
            grown = self.node_type in ("", each.node_type) and each.status == "available"
            full = each.memory is not None and each.memory >= _FULL
            checks += [
                kit.Check(f"every known key of {each.purpose} has an end", not endless, endless),
                kit.Check(f"{each.purpose} is as it should be", grown, f"{each.node_type}, {each.status}"),
                kit.Check(f"{each.purpose} has room", not full, f"{each.memory} % are used"),
            ]
        return checks

    def _possible(self, cache: Cache) -> None:
        """Raises Refused for what ElastiCache would not do, or that would make the cache smaller."""
        if self.node_type not in cache.larger:
            raise kit.Refused(
                f"{cache.group} of {cache.node_type} can grow to {', '.join(cache.larger) or 'nothing'}, not to "
                f"{self.node_type}"
            )
        if cache.status != "available":
            raise kit.Refused(f"{cache.group} is {cache.status}: it takes a change only when it is available")

    def _change(self, target: kit.Target, action: kit.Action, node_type: str) -> None:
        """Where it was begun already, only wait."""
        group, purpose = action.before["group"], action.before["cache"]

        def now() -> Group:
            return _group(target, _login(target, purpose)["host"])

        if now()["CacheNodeType"] != node_type and now()["Status"] == "available":
            target.client("elasticache").modify_replication_group(
                ReplicationGroupId=group, CacheNodeType=node_type, ApplyImmediately=True
            )
        if not until(
            lambda: (now()["CacheNodeType"], now()["Status"]) == (node_type, "available"),
            seconds=self.patience,
            every=20,
        ):
            raise RuntimeError(
                f"{group} has no nodes of {node_type} after {self.patience:g} s: it is {now()['Status']}"
            )


def _login(target: kit.Target, purpose: str) -> dict[str, str]:
    return target.secret(target.operations.cache_secret_arns[purpose])


def _group(target: kit.Target, host: str) -> Group:
    """The group whose primary is at ``host``. Raises Refused when the environment has none."""
    for group in groups(target):
        if any(shard.get("PrimaryEndpoint", {}).get("Address") == host for shard in group["NodeGroups"]):
            return group
    raise kit.Refused(f"no replication group of this environment is at {host}: bring the stack up to this checkout")


def _cache(target: kit.Target, purpose: str, most: int) -> Cache:
    login = _login(target, purpose)
    group = _group(target, login["host"])
    allowed = target.client("elasticache").list_allowed_node_type_modifications(
        ReplicationGroupId=group["ReplicationGroupId"]
    )
    nodes = [member["CacheClusterId"] for shard in group["NodeGroups"] for member in shard["NodeGroupMembers"]]
    with connected(target, login) as cache:
        kinds = _kinds(cache, most)
    return Cache(
        purpose=purpose,
        group=group["ReplicationGroupId"],
        status=group["Status"],
        node_type=group["CacheNodeType"],
        memory=_highest(target, nodes, "DatabaseMemoryUsagePercentage"),
        evictions=_highest(target, nodes, "Evictions"),
        larger=sorted(allowed.get("ScaleUpModifications", [])),
        kinds=kinds,
    )


def _highest(target: kit.Target, nodes: Sequence[str], name: str) -> float | None:
    known = [value for node in nodes if (value := metric(target, node, name, newest=True)) is not None]
    return max(known, default=None)


def _batches(cache: redis.Redis, match: str = "*") -> Iterator[list[bytes]]:
    """All keys, a part at a time; a key may come twice."""
    cursor = 0
    while True:
        cursor, keys = cache.scan(cursor, match=match, count=_BATCH)
        yield [key if isinstance(key, bytes) else key.encode() for key in keys]
        if not cursor:
            return


def _kinds(cache: redis.Redis, most: int) -> list[Kind]:
    keys, endless, sizes = Counter[str](), Counter[str](), Counter[str]()
    weighed = Counter[str]()
    for batch in _batches(cache):
        with cache.pipeline(transaction=False) as commands:
            for key in batch:
                commands.ttl(key)
            left = commands.execute()
        for key, seconds in zip(batch, left, strict=True):
            first, colon, _ = key.partition(b":")
            kind = first.decode(errors="replace") if colon else "of no kind"
            keys[kind] += 1
            endless[kind] += seconds == -1
            if weighed[kind] < _WEIGHED:
                weighed[kind] += 1
                sizes[kind] += cache.memory_usage(key) or 0
        if keys.total() >= most:
            break
    return [
        Kind(name=kind, keys=count, endless=endless[kind], size=sizes[kind] // weighed[kind])
        for kind, count in keys.items()
    ]


def _said(kind: str) -> str:
    return f"{LIVES[kind].days} days" if kind in LIVES else "not known: ask its owner"


app = kit.command(CacheEviction)
if __name__ == "__main__":
    app()
