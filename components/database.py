"""One PostgreSQL for one service: encrypted, private, TLS only, backed up, its master password kept and rotated by RDS.

It refuses a connection budget that cannot hold: the pools of all replicas together must leave room for migrations and
for the person on call. It makes the credentials of the service's own role; the migration job, which runs as the master
user, makes the role and grants it rows, never tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import ec2, kms, rds, secretsmanager
from pulumi_aws import iam as aws_iam

from components import encryption, iam
from components.alarm import Severity, alarm
from components.context import Context
from components.secrets import Secrets, generated_password

PORT = 5432
ENGINE_VERSION = "17"
# RDS's default for PostgreSQL is LEAST({DBInstanceClassMemory/9531392}, 5000) (RDS User Guide, "Quotas and
# constraints"); the class leaves about this share of its memory to that formula.
_BYTES_PER_CONNECTION, _USABLE_MEMORY = 9_531_392, 0.85
# GiB of the instance classes that we use (Amazon RDS instance types, 2026-11).
MEMORY_GIB = {"db.t4g.micro": 1, "db.t4g.small": 2, "db.t4g.medium": 4, "db.m7g.large": 8, "db.r7g.large": 16}
# Kept free for superusers, migrations, monitoring and the person on call.
_RESERVED_CONNECTIONS = 15


def max_connections(instance_class: str) -> int:
    """Connections that an instance of this class accepts. Raises ValueError for a class that is not in MEMORY_GIB."""
    if instance_class not in MEMORY_GIB:
        raise ValueError(
            f"instance_class {instance_class!r} is not known; choose from {', '.join(MEMORY_GIB)}, or add it with its "
            "memory to MEMORY_GIB"
        )
    usable = MEMORY_GIB[instance_class] * 1024**3 * _USABLE_MEMORY
    return min(int(usable / _BYTES_PER_CONNECTION), 5000)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseArgs:
    """``connections`` is the sum of the service's pools over all its replicas; sizes are in GiB."""

    service: str
    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    client_security_group_id: pulumi.Input[str]
    instance_class: str
    storage_gib: int
    max_storage_gib: int
    multi_az: bool
    backup_days: int
    connections: int

    def __post_init__(self) -> None:
        budget = max_connections(self.instance_class) - _RESERVED_CONNECTIONS
        if self.connections > budget:
            raise ValueError(
                f"{self.service} may open {self.connections} connections (pool x replicas), and {self.instance_class} "
                f"has {budget} to give ({_RESERVED_CONNECTIONS} are kept free): smaller pools, fewer replicas, or a "
                "larger instance_class"
            )
        # RDS User Guide, "Working with backups": 0 switches backups off, 35 is the most.
        if not 1 <= self.backup_days <= 35:
            raise ValueError(f"backup_days is {self.backup_days}; point-in-time restore needs 1 to 35 days of backups")
        if self.max_storage_gib < self.storage_gib * 1.1:
            raise ValueError(
                f"max_storage_gib is {self.max_storage_gib} for storage_gib {self.storage_gib}; RDS asks for at "
                "least 10 % above, or storage cannot grow by itself"
            )


class Database(pulumi.ComponentResource):
    """An RDS for PostgreSQL instance, its key, its network rules, its credentials and its alarms."""

    address: pulumi.Output[str]
    port: pulumi.Output[int]
    database: str
    instance_id: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    owner_secret_arn: pulumi.Output[str]
    """The master user's secret {username, password}; RDS rotates it."""
    service_secret: secretsmanager.Secret
    """The service role's secret {username, password, host, port, database}."""

    def __init__(
        self,
        name: str,
        args: DatabaseArgs,
        *,
        secrets: Secrets,
        context: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("platform:database:Database", name, None, opts)
        self._name, self._args, self._context = name, args, context
        self._child = pulumi.ResourceOptions(parent=self)
        self.database = args.service
        key = encryption.key(name, context=context, purpose=f"Data of {args.service}", opts=self._child)
        group = self._security_group()
        self.security_group_id = group.id
        instance = self._instance(key, group)
        self.address, self.port, self.instance_id = instance.address, instance.port, instance.identifier
        self.owner_secret_arn = instance.master_user_secrets.apply(lambda found: found[0].secret_arn or "")
        self.service_secret = secrets.keep(
            f"{args.service}-database",
            {
                "username": f"{args.service}_service",
                "password": generated_password(f"{name}-service", self._child),
                "host": self.address,
                "port": self.port.apply(str),
                "database": self.database,
            },
            about=f"The role that {args.service} works with: rows, not tables",
        )
        self._alarms()
        self.register_outputs({"address": self.address, "port": self.port})

    def _security_group(self) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(
            self._name,
            description=f"PostgreSQL of {self._args.service}, from the cluster only",
            vpc_id=self._args.vpc_id,
            ingress=[
                ec2.SecurityGroupIngressArgs(
                    description="PostgreSQL from the cluster",
                    protocol="tcp",
                    from_port=PORT,
                    to_port=PORT,
                    security_groups=[self._args.client_security_group_id],
                )
            ],
            tags=self._context.tags(self._name),
            opts=self._child,
        )

    def _instance(self, key: kms.Key, group: ec2.SecurityGroup) -> rds.Instance:
        name, args, context = self._name, self._args, self._context
        subnets = rds.SubnetGroup(name, subnet_ids=list(args.subnet_ids), tags=context.tags(name), opts=self._child)
        parameters = rds.ParameterGroup(
            name,
            family=f"postgres{ENGINE_VERSION}",
            parameters=[
                rds.ParameterGroupParameterArgs(name=parameter, value=value)
                for parameter, value in {
                    "rds.force_ssl": "1",
                    # Milliseconds: what takes longer is in the log.
                    "log_min_duration_statement": "500",
                    "log_connections": "1",
                    "log_disconnections": "1",
                    # Milliseconds: a forgotten transaction holds locks and keeps dead rows.
                    "idle_in_transaction_session_timeout": "60000",
                }.items()
            ],
            tags=context.tags(name),
            opts=self._child,
        )
        return rds.Instance(
            name,
            engine="postgres",
            engine_version=ENGINE_VERSION,
            instance_class=args.instance_class,
            db_name=self.database,
            username=f"{args.service}_owner",
            manage_master_user_password=True,
            master_user_secret_kms_key_id=key.arn,
            port=PORT,
            allocated_storage=args.storage_gib,
            max_allocated_storage=args.max_storage_gib,
            storage_type="gp3",
            storage_encrypted=True,
            kms_key_id=key.arn,
            multi_az=args.multi_az,
            db_subnet_group_name=subnets.name,
            vpc_security_group_ids=[group.id],
            parameter_group_name=parameters.name,
            publicly_accessible=False,
            iam_database_authentication_enabled=True,
            backup_retention_period=args.backup_days,
            copy_tags_to_snapshot=True,
            delete_automated_backups=not context.production,
            skip_final_snapshot=not context.production,
            final_snapshot_identifier=f"{context.environment}-{name}-final" if context.production else None,
            deletion_protection=context.production,
            auto_minor_version_upgrade=True,
            ca_cert_identifier="rds-ca-rsa2048-g1",
            enabled_cloudwatch_logs_exports=["postgresql", "upgrade"],
            performance_insights_enabled=True,
            performance_insights_kms_key_id=key.arn,
            monitoring_interval=60,
            monitoring_role_arn=self._monitoring_role().arn,
            tags=context.tags(name),
            opts=context.keep(self._child),
        )

    def _monitoring_role(self) -> aws_iam.Role:
        name = f"{self._name}-monitoring"
        role = aws_iam.Role(
            name,
            assume_role_policy=iam.trust("monitoring.rds.amazonaws.com"),
            tags=self._context.tags(self._name),
            opts=self._child,
        )
        aws_iam.RolePolicyAttachment(
            name,
            role=role.name,
            policy_arn=pulumi.Output.format(
                "arn:{0}:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole", self._context.partition
            ),
            opts=self._child,
        )
        return role

    def _alarms(self) -> None:
        limit = max_connections(self._args.instance_class)
        gib = 1024**3
        for role, says, runbook, metric, severity, above, below in (
            (
                "connections",
                "80 % of the connections are taken.",
                "database_connections_exhausted",
                "DatabaseConnections",
                Severity.PAGE,
                limit * 0.8,
                None,
            ),
            (
                "storage",
                "Less than a tenth of the storage is free.",
                "rds_storage_full",
                "FreeStorageSpace",
                Severity.PAGE,
                None,
                self._args.storage_gib * gib * 0.1,
            ),
            (
                "cpu",
                "The processor is busy: a failover or a larger class may be due.",
                "rds_failover",
                "CPUUtilization",
                Severity.TICKET,
                90,
                None,
            ),
        ):
            alarm(
                f"{self._name}-{role}",
                context=self._context,
                says=f"{self._args.service}: {says}",
                runbook=runbook,
                namespace="AWS/RDS",
                metric=metric,
                dimensions={"DBInstanceIdentifier": self.instance_id},
                above=above,
                below=below,
                severity=severity,
                opts=self._child,
            )
