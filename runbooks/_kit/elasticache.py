"""The caches of an environment: their replication groups, what CloudWatch knows of a node, and a connection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import redis

from runbooks._kit.target import Target

# Seconds: a cache that takes longer is what is wrong.
_PATIENCE = 10.0

Group = Mapping[str, Any]


def groups(target: Target) -> list[Group]:
    """The replication groups of the environment; an account may have others, whose ids say nothing."""
    cache, mine = target.client("elasticache"), {"Key": "Environment", "Value": target.identity.environment}
    return [
        group
        for page in cache.get_paginator("describe_replication_groups").paginate()
        for group in page["ReplicationGroups"]
        if mine in cache.list_tags_for_resource(ResourceName=group["ARN"])["TagList"]
    ]


def metric(target: Target, node: str, name: str, *, newest: bool = False) -> float | None:
    """The highest value of a metric of ``node`` in five minutes, or its newest; None when nothing is known."""
    now = datetime.now(UTC)
    points = target.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/ElastiCache",
        MetricName=name,
        Dimensions=[{"Name": "CacheClusterId", "Value": node}],
        StartTime=now - timedelta(minutes=5),
        EndTime=now + timedelta(minutes=1),
        Period=60,
        Statistics=["Maximum"],
    )["Datapoints"]
    ordered = sorted(points, key=lambda point: point["Timestamp" if newest else "Maximum"])
    return float(ordered[-1]["Maximum"]) if ordered else None


@contextmanager
def connected(target: Target, login: Mapping[str, str]) -> Iterator[redis.Redis]:
    """A connection as the services' user, whom the server refuses what could empty it; TLS is verified."""
    client = redis.Redis(
        host=login["host"],
        port=int(login["port"]),
        username=login["username"],
        password=login["password"],
        ssl=True,
        ssl_ca_data=target.secret(target.operations.authorities_secret_arn)["bundle"],
        socket_timeout=_PATIENCE,
        socket_connect_timeout=_PATIENCE,
    )
    with client:
        yield client
