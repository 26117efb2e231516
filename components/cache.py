"""A Redis-compatible cache for one purpose; the purpose decides what happens when memory runs out.

Admission tokens and locks must never be evicted, cached reads always may: they are two caches, never one.
Losing the cache slows sales and never oversells, because PostgreSQL decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import pulumi
from pulumi_aws import ec2, elasticache, secretsmanager

from components import encryption
from components.alarm import Severity, alarm
from components.context import Context
from components.secrets import Secrets, generated_password

PORT = 6379
ENGINE, ENGINE_VERSION, _FAMILY = "valkey", "8.0", "valkey8"
_USER = "platform"
# Everything but what can stop or empty the server.
_COMMANDS = "on ~* &* +@all -@dangerous"


class Purpose(StrEnum):
    """What a cache is for, as the eviction policy that it needs."""

    ADMISSION = "noeviction"
    READS = "allkeys-lru"


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheArgs:
    """``nodes`` counts the primary: one has no failover."""

    purpose: Purpose
    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    client_security_group_id: pulumi.Input[str]
    node_type: str
    nodes: int
    snapshot_days: int

    def __post_init__(self) -> None:
        # ElastiCache User Guide, "Quotas": a replication group without cluster mode has up to six nodes.
        if not 1 <= self.nodes <= 6:
            raise ValueError(f"nodes is {self.nodes}; a replication group has 1 to 6: set cache.nodes")


class Cache(pulumi.ComponentResource):
    """An ElastiCache replication group that speaks TLS, and its one user."""

    secret: secretsmanager.Secret
    """{username, password, host, port}"""

    def __init__(
        self,
        name: str,
        args: CacheArgs,
        *,
        secrets: Secrets,
        context: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("platform:cache:Cache", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        key = encryption.key(name, context=context, purpose="Cache", opts=child)
        group = ec2.SecurityGroup(
            name,
            description="Redis protocol over TLS, from the cluster only",
            vpc_id=args.vpc_id,
            ingress=[
                ec2.SecurityGroupIngressArgs(
                    description="From the cluster",
                    protocol="tcp",
                    from_port=PORT,
                    to_port=PORT,
                    security_groups=[args.client_security_group_id],
                )
            ],
            tags=context.tags(name),
            opts=child,
        )
        password = generated_password(name, child)
        users = self._users(name, password, context, child)
        replicas = elasticache.ReplicationGroup(
            name,
            description=f"{args.purpose.name.lower()} cache",
            engine=ENGINE,
            engine_version=ENGINE_VERSION,
            node_type=args.node_type,
            num_cache_clusters=args.nodes,
            automatic_failover_enabled=args.nodes > 1,
            multi_az_enabled=args.nodes > 1,
            port=PORT,
            parameter_group_name=elasticache.ParameterGroup(
                name,
                family=_FAMILY,
                parameters=[elasticache.ParameterGroupParameterArgs(name="maxmemory-policy", value=args.purpose)],
                tags=context.tags(name),
                opts=child,
            ).name,
            subnet_group_name=elasticache.SubnetGroup(
                name, subnet_ids=list(args.subnet_ids), tags=context.tags(name), opts=child
            ).name,
            security_group_ids=[group.id],
            user_group_ids=[users.user_group_id],
            at_rest_encryption_enabled=True,
            kms_key_id=key.arn,
            transit_encryption_enabled=True,
            snapshot_retention_limit=args.snapshot_days,
            auto_minor_version_upgrade=True,
            apply_immediately=not context.production,
            tags=context.tags(name),
            opts=context.keep(child),
        )
        self.secret = secrets.keep(
            f"{name}-credentials",
            {
                "username": _USER,
                "password": password,
                "host": replicas.primary_endpoint_address,
                "port": replicas.port.apply(lambda port: str(port or PORT)),
            },
            about="The user with which the services reach the cache",
        )
        # AWS measures memory for each node; the nodes are named after the group (ElastiCache User Guide, "Metrics").
        for number in range(1, args.nodes + 1):
            alarm(
                f"{name}-memory-{number:03}",
                context=context,
                says=f"Node {number} of the cache is nearly full.",
                runbook="cache_eviction",
                namespace="AWS/ElastiCache",
                metric="DatabaseMemoryUsagePercentage",
                dimensions={"CacheClusterId": pulumi.Output.concat(replicas.id, f"-{number:03}")},
                above=85,
                severity=Severity.PAGE if args.purpose is Purpose.ADMISSION else Severity.TICKET,
                opts=child,
            )
        self.register_outputs({})

    def _users(
        self, name: str, password: pulumi.Output[str], context: Context, child: pulumi.ResourceOptions
    ) -> elasticache.UserGroup:
        user = elasticache.User(
            name,
            user_id=f"{context.environment}-{name}",
            user_name=_USER,
            engine=ENGINE,
            access_string=_COMMANDS,
            authentication_mode=elasticache.UserAuthenticationModeArgs(type="password", passwords=[password]),
            tags=context.tags(name),
            opts=child,
        )
        return elasticache.UserGroup(
            name,
            user_group_id=f"{context.environment}-{name}",
            engine=ENGINE,
            user_ids=[user.user_id],
            tags=context.tags(name),
            opts=child,
        )
