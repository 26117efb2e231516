"""A Redis-compatible cache for one purpose; the purpose decides what happens when memory runs out.

Admission tokens and locks must never be evicted, cached reads always may: they are two caches, never one.
Losing the cache slows sales and never oversells, because PostgreSQL decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import pulumi
from pulumi_aws import cloudwatch, ec2, elasticache, kms, secretsmanager

from components import aws_facts, encryption, ingress
from components.alarm import alarm
from components.context import Context
from components.secrets import Secrets, generated_password
from components.severity import Severity

PORT = 6379
ENGINE = "valkey"
# What the server writes down: commands that took long, and its own life.
_LOGS = ("slow-log", "engine-log")
_USER = "platform"
# Everything but what can stop or empty the server.
_COMMANDS = "+@all -@dangerous"


class Purpose(StrEnum):
    """What a cache is for, as the eviction policy that it needs."""

    ADMISSION = "noeviction"
    READS = "allkeys-lru"


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheArgs:
    """``nodes`` counts the primary: one has no failover."""

    purpose: Purpose
    version: str
    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    clients: Mapping[str, pulumi.Input[str]]
    node_type: str
    nodes: int
    snapshot_days: int

    def __post_init__(self) -> None:
        aws_facts.VALKEY.version(self.version)
        aws_facts.CACHE_CLASSES.find(self.node_type)
        # ElastiCache User Guide, "Quotas": a replication group without cluster mode has up to six nodes.
        if not 1 <= self.nodes <= 6:
            raise ValueError(f"nodes is {self.nodes}; a replication group has 1 to 6: set cache.nodes")


def limited(prefix: str) -> str:
    """The access string of a user who sees no key but those that begin with ``prefix``, and hears no channel."""
    return f"on ~{prefix}* resetchannels {_COMMANDS}"


class Cache(pulumi.ComponentResource):
    """An ElastiCache replication group that speaks TLS, and its one user."""

    secret: secretsmanager.Secret
    """{username, password, host, port}"""
    user_id: pulumi.Output[str]
    """The ElastiCache user whose password rotates."""
    user_group_id: pulumi.Output[str]
    """Who may log in: others add users of their own."""
    address: pulumi.Output[str]
    port: pulumi.Output[str]

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
        key = encryption.key(
            name, context=context, purpose="Cache", services=(f"logs.{context.region}.amazonaws.com",), opts=child
        )
        group = ec2.SecurityGroup(
            name,
            description="Redis protocol over TLS, from the cluster only",
            vpc_id=args.vpc_id,
            ingress=[ingress.inline(f"From {client}", source, PORT) for client, source in args.clients.items()],
            tags=context.tags(name),
            opts=child,
        )
        version = aws_facts.VALKEY.version(args.version).wanted
        password = generated_password(name, child)
        self._users(name, password, context, child)
        replicas = elasticache.ReplicationGroup(
            name,
            description=f"{args.purpose.name.lower()} cache",
            engine=ENGINE,
            engine_version=version,
            node_type=args.node_type,
            num_cache_clusters=args.nodes,
            automatic_failover_enabled=args.nodes > 1,
            multi_az_enabled=args.nodes > 1,
            port=PORT,
            parameter_group_name=elasticache.ParameterGroup(
                name,
                family=f"{ENGINE}{version.split('.')[0]}",
                parameters=[elasticache.ParameterGroupParameterArgs(name="maxmemory-policy", value=args.purpose)],
                tags=context.tags(name),
                opts=child,
            ).name,
            subnet_group_name=elasticache.SubnetGroup(
                name, subnet_ids=list(args.subnet_ids), tags=context.tags(name), opts=child
            ).name,
            security_group_ids=[group.id],
            user_group_ids=[self.user_group_id],
            at_rest_encryption_enabled=True,
            kms_key_id=key.arn,
            transit_encryption_enabled=True,
            snapshot_retention_limit=args.snapshot_days,
            # UTC, as for the databases: backups first, then maintenance, far from the hours in which sales open.
            snapshot_window="01:00-02:00",
            maintenance_window="tue:02:30-tue:03:30",
            final_snapshot_identifier=f"{context.environment}-{name}-final" if context.production else None,
            log_delivery_configurations=[self._log(name, kind, key, context, child) for kind in _LOGS],
            auto_minor_version_upgrade=True,
            apply_immediately=not context.production,
            tags=context.tags(name),
            opts=context.keep(child),
        )
        self.address = replicas.primary_endpoint_address
        self.port = replicas.port.apply(lambda port: str(port or PORT))
        self.secret = secrets.keep(
            f"{name}-credentials",
            {
                "username": _USER,
                "password": password,
                "host": self.address,
                "port": self.port,
                # ElastiCache's name of the user, by which rotation changes it.
                "user_id": self.user_id,
            },
            about="The user with which the services reach the cache",
        )
        # AWS measures memory for each node; the nodes are named after the group (ElastiCache User Guide, "Metrics").
        for number in range(1, args.nodes + 1):
            node = {"CacheClusterId": pulumi.Output.concat(replicas.id, f"-{number:03}")}
            alarm(
                f"{name}-memory-{number:03}",
                context=context,
                says=f"Node {number} of the cache is nearly full.",
                runbook="cache_eviction",
                namespace="AWS/ElastiCache",
                metric="DatabaseMemoryUsagePercentage",
                dimensions=node,
                above=85,
                severity=Severity.PAGE if args.purpose is Purpose.ADMISSION else Severity.TICKET,
                opts=child,
            )
            alarm(
                f"{name}-cpu-{number:03}",
                context=context,
                says=f"Node {number} of the cache is busy: its one thread is the limit.",
                runbook="cache_eviction",
                namespace="AWS/ElastiCache",
                metric="EngineCPUUtilization",
                dimensions=node,
                above=80,
                severity=Severity.TICKET,
                opts=child,
            )
        if args.nodes > 1:
            alarm(
                f"{name}-replication-lag",
                context=context,
                says="A replica of the cache is behind: a failover now would lose what it has not seen.",
                runbook="cache_failover",
                namespace="AWS/ElastiCache",
                metric="ReplicationLag",
                dimensions={"ReplicationGroupId": replicas.id},
                # Seconds.
                above=5,
                severity=Severity.TICKET,
                opts=child,
            )
        self.register_outputs({})

    def _log(
        self, name: str, kind: str, key: kms.Key, context: Context, child: pulumi.ResourceOptions
    ) -> elasticache.ReplicationGroupLogDeliveryConfigurationArgs:
        group = cloudwatch.LogGroup(
            f"{name}-{kind}",
            kms_key_id=key.arn,
            retention_in_days=context.log_retention_days,
            tags=context.tags(name),
            opts=child,
        )
        return elasticache.ReplicationGroupLogDeliveryConfigurationArgs(
            destination=group.name, destination_type="cloudwatch-logs", log_format="json", log_type=kind
        )

    def _users(self, name: str, password: pulumi.Output[str], context: Context, child: pulumi.ResourceOptions) -> None:
        user = elasticache.User(
            name,
            user_id=f"{context.environment}-{name}",
            user_name=_USER,
            engine=ENGINE,
            access_string=f"on ~* &* {_COMMANDS}",
            authentication_mode=elasticache.UserAuthenticationModeArgs(type="password", passwords=[password]),
            tags=context.tags(name),
            # Rotation gives the user its next password; the next `up` must not bring the first one back.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["authenticationMode"]),
        )
        self.user_id = user.user_id
        self.user_group_id = elasticache.UserGroup(
            name,
            user_group_id=f"{context.environment}-{name}",
            engine=ENGINE,
            user_ids=[user.user_id],
            tags=context.tags(name),
            # Previews add users of their own; the next `up` must not take them out.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["userIds"]),
        ).user_group_id
