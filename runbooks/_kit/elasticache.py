"""The caches of an environment: their replication groups, what CloudWatch knows of a node, and a connection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import redis

from runbooks._kit.cloudwatch import points
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
    found = points(target, "AWS/ElastiCache", name, {"CacheClusterId": node}, during=timedelta(minutes=5))
    values = [value for _, value in found]
    return (values[-1] if newest else max(values)) if values else None


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
