"""A cache that is nearly full, of keys without an end, on a real server."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from runbooks.cache_eviction import CacheEviction
from scripts.local import processes
from scripts.local.certificates import Authority
from scripts.local.servers import redis as server
from tests.runbooks.bench import Bench
from tests.runbooks.faults import Fault
from tests.runbooks.faults.cache_failover import Caches

SMALL, LARGE = "cache.t4g.medium", "cache.m7g.large"
# As components/cache.py makes it: no command that can stop or empty the server.
_MAY = ["+@all", "-@dangerous"]


@dataclass
class Full:
    """The admission cache as the services' user and its administrator see it. ``changes`` are of its nodes."""

    caches: Caches
    group: str
    admin: redis.Redis
    password: str

    def __post_init__(self) -> None:
        self.node_type, self.changes, self.status = SMALL, 0, "available"
        self.caches.environment.answers |= {
            "elasticache:ListAllowedNodeTypeModifications": lambda _: {"ScaleUpModifications": [LARGE]},
            "elasticache:ModifyReplicationGroup": self._modified,
        }
        self._describe()

    def put(self, *names: str, seconds: int | None = None) -> None:
        for name in names:
            self.admin.set(name, "x" * 100, ex=seconds)

    def ends(self, name: str) -> int:
        """Seconds until a key goes; -1 for one that stays."""
        return int(self.admin.ttl(name))

    def used(self, per_cent: float, *, minutes_ago: float = 2) -> None:
        self.caches.measured(f"{self.group}-001", "DatabaseMemoryUsagePercentage", per_cent, minutes_ago=minutes_ago)

    def becomes(self, status: str) -> None:
        self.status = status
        self._describe()

    def _describe(self) -> None:
        self.caches.extra = {"CacheNodeType": self.node_type, "Status": self.status}

    def _modified(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        assert asked["ApplyImmediately"]
        self.node_type, self.changes = asked["CacheNodeType"], self.changes + 1
        self.used(40, minutes_ago=0)
        self._describe()
        return {}


@pytest.fixture
def full(caches: Caches, folder: Path, tmp_path: Path) -> Iterator[Full]:
    made = server.create(tmp_path / "redis", "127.0.0.1", Authority(folder).create())
    with processes.serving(made.server, made.ready):
        admin = redis.Redis.from_url(made.url(), ssl_ca_certs=str(made.ca))
        password = secrets.token_hex(16)
        admin.acl_setuser(
            "platform", enabled=True, passwords=[f"+{password}"], keys=["*"], channels=["*"], categories=_MAY
        )
        group = caches.create("admission")
        caches.hosts[group] = made.host
        login = {"username": "platform", "password": password, "host": made.host, "port": str(made.port)}
        arn = caches.environment.secret("admission-credentials", login)
        caches.environment.write(cacheSecretArns={"admission": arn})
        yield Full(caches, group, admin, password)
        admin.close()


@pytest.fixture
def cache_eviction(full: Full, tmp_path: Path) -> Fault:
    full.put("room:one", "room:two", "somebodys:own")
    full.put("room:three", seconds=60)
    full.used(90)
    runbook = CacheEviction(cache=["admission"], node_type=LARGE, patience=0)

    def mended() -> bool:
        given = all(full.ends(name) > 60 for name in ("room:one", "room:two"))
        left = full.ends("somebodys:own") == -1 and full.ends("room:three") <= 60
        return given and left and full.node_type == LARGE

    return Fault(
        Bench(runbook, full.caches.environment, tmp_path),
        state=lambda: (full.admin.expiretime("room:one"), full.admin.dbsize(), full.node_type, full.changes),
        mended=mended,
        secrets=(full.password,),
    )
