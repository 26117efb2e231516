"""The instances of one database: the primary, its parameters and its monitoring, and a replica for reports."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import iam as aws_iam
from pulumi_aws import rds

from components import aws_facts, iam
from components.context import Context

PORT = 5432
_PARAMETERS: Mapping[str, str] = {
    "rds.force_ssl": "1",
    # Milliseconds: what takes longer is in the log.
    "log_min_duration_statement": "500",
    "log_connections": "1",
    "log_disconnections": "1",
    # Milliseconds: a forgotten transaction holds locks and keeps dead rows.
    "idle_in_transaction_session_timeout": "60000",
}


def parameters(*, logical_replication: bool) -> dict[str, str]:
    """The parameters of an instance. Raises ValueError for one that RDS would refuse."""
    chosen = {**_PARAMETERS, "rds.logical_replication": str(int(logical_replication))}
    for name, value in chosen.items():
        known = aws_facts.POSTGRESQL_PARAMETERS.get(name)
        if known is None or not re.fullmatch(known[0], value):
            takes = known[0] if known else "no such parameter"
            raise ValueError(f"parameter {name} is {value!r}; RDS takes {takes}: see components/aws_facts.py")
    return chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseInstancesArgs:
    """Checked by the database component; ``name`` is the database's own."""

    name: str
    owner: str
    database: str
    version: str
    instance_class: str
    storage_gib: int
    max_storage_gib: int
    multi_az: bool
    backup_days: int
    replica: bool
    logical_replication: bool
    subnet_ids: Sequence[pulumi.Input[str]]
    security_group_id: pulumi.Input[str]
    key_arn: pulumi.Input[str]


class DatabaseInstances(pulumi.ComponentResource):
    """An RDS for PostgreSQL instance, its subnet and parameter groups, its monitoring role, and perhaps a replica."""

    primary: rds.Instance
    replica: rds.Instance | None

    def __init__(
        self, name: str, args: DatabaseInstancesArgs, *, context: Context, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("platform:database:Instances", name, None, opts)
        self._args, self._context = args, context
        self._child = pulumi.ResourceOptions(parent=self)
        self._engine = aws_facts.POSTGRESQL.version(args.version)
        self._monitor = self._monitoring_role()
        self.primary = self._primary()
        self.replica = self._replica(self.primary) if args.replica else None
        self.register_outputs({})

    def _primary(self) -> rds.Instance:
        name, args, context = self._args.name, self._args, self._context
        subnets = rds.SubnetGroup(name, subnet_ids=list(args.subnet_ids), tags=context.tags(name), opts=self._child)
        tuned = rds.ParameterGroup(
            name,
            family=f"postgres{self._engine.wanted}",
            parameters=[
                rds.ParameterGroupParameterArgs(
                    name=parameter,
                    value=value,
                    apply_method="pending-reboot" if aws_facts.POSTGRESQL_PARAMETERS[parameter][1] else "immediate",
                )
                for parameter, value in parameters(logical_replication=args.logical_replication).items()
            ],
            tags=context.tags(name),
            opts=self._child,
        )
        return rds.Instance(
            name,
            engine="postgres",
            engine_version=self._engine.wanted,
            allow_major_version_upgrade=self._engine.upgrading,
            instance_class=args.instance_class,
            db_name=args.database,
            username=args.owner,
            manage_master_user_password=True,
            master_user_secret_kms_key_id=args.key_arn,
            port=PORT,
            allocated_storage=args.storage_gib,
            max_allocated_storage=args.max_storage_gib,
            storage_type="gp3",
            storage_encrypted=True,
            kms_key_id=args.key_arn,
            multi_az=args.multi_az,
            db_subnet_group_name=subnets.name,
            vpc_security_group_ids=[args.security_group_id],
            parameter_group_name=tuned.name,
            publicly_accessible=False,
            iam_database_authentication_enabled=True,
            backup_retention_period=args.backup_days,
            # UTC. Backups first, then maintenance, both far from the hours in which sales open.
            backup_window="01:00-02:00",
            maintenance_window="tue:02:30-tue:03:30",
            copy_tags_to_snapshot=True,
            delete_automated_backups=not context.production,
            skip_final_snapshot=not context.production,
            final_snapshot_identifier=f"{context.environment}-{name}-final" if context.production else None,
            deletion_protection=context.protected,
            auto_minor_version_upgrade=True,
            ca_cert_identifier="rds-ca-rsa2048-g1",
            enabled_cloudwatch_logs_exports=["postgresql", "upgrade"],
            performance_insights_enabled=True,
            performance_insights_kms_key_id=args.key_arn,
            monitoring_interval=60,
            monitoring_role_arn=self._monitor.arn,
            tags=context.tags(name),
            opts=context.keep(self._child),
        )

    def _replica(self, primary: rds.Instance) -> rds.Instance:
        """A copy that reports read: a slow question slows no sale. It is made anew, not kept."""
        args = self._args
        return rds.Instance(
            f"{args.name}-replica",
            replicate_source_db=primary.identifier,
            instance_class=args.instance_class,
            storage_encrypted=True,
            kms_key_id=args.key_arn,
            publicly_accessible=False,
            iam_database_authentication_enabled=True,
            skip_final_snapshot=True,
            deletion_protection=False,
            copy_tags_to_snapshot=True,
            auto_minor_version_upgrade=True,
            ca_cert_identifier="rds-ca-rsa2048-g1",
            parameter_group_name=primary.parameter_group_name,
            vpc_security_group_ids=primary.vpc_security_group_ids,
            enabled_cloudwatch_logs_exports=["postgresql", "upgrade"],
            performance_insights_enabled=True,
            performance_insights_kms_key_id=args.key_arn,
            monitoring_interval=60,
            monitoring_role_arn=self._monitor.arn,
            tags=self._context.tags(args.name),
            opts=self._child,
        )

    def _monitoring_role(self) -> aws_iam.Role:
        name = f"{self._args.name}-monitoring"
        role = aws_iam.Role(
            name,
            assume_role_policy=iam.trust("monitoring.rds.amazonaws.com"),
            tags=self._context.tags(self._args.name),
            opts=self._child,
        )
        aws_iam.RolePolicyAttachment(
            name,
            role=role.name,
            policy_arn=self._context.aws_policy("service-role/AmazonRDSEnhancedMonitoringRole"),
            opts=self._child,
        )
        return role
