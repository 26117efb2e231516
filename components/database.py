"""One PostgreSQL for one service: encrypted, private, TLS only, backed up, its master password kept and rotated by RDS.

It refuses a connection budget that cannot hold: the pools of all replicas together must leave room for migrations and
for the person on call. Three roles come with it, each with a secret of its own: the owner (the master user; migrations
run as it), the service (rows, never tables) and the reader (SELECT; reports and people). RDS makes the first; the
migration job, which runs as the owner, makes the others and gives them their grants. Software of somebody else, which
makes its own tables, has no reader: what it keeps is nobody's report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import ec2, rds, secretsmanager

from components import aws_facts, database_alarms, encryption, ingress
from components.context import Context
from components.database_instance import PORT, DatabaseInstances, DatabaseInstancesArgs
from components.database_proxy import DatabaseProxy, DatabaseProxyArgs
from components.secrets import Secrets, generated_password

# RDS's default for PostgreSQL is LEAST({DBInstanceClassMemory/9531392}, 5000) (RDS User Guide, "Quotas and
# constraints"); the class leaves about this share of its memory to that formula.
_BYTES_PER_CONNECTION, _USABLE_MEMORY = 9_531_392, 0.85
# Kept free for superusers, migrations, reports, monitoring and the person on call.
_RESERVED_CONNECTIONS = 15


def max_connections(instance_class: str) -> int:
    """Connections that an instance of this class accepts. Raises ValueError for a class that is not known."""
    usable = aws_facts.DATABASE_CLASSES.find(instance_class).memory_gib * 1024**3 * _USABLE_MEMORY
    return min(int(usable / _BYTES_PER_CONNECTION), 5000)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseArgs:
    """``connections`` is the sum of the service's pools over all its replicas; sizes are in GiB.

    ``version`` is a major version, or an upgrade like ``16 -> 17``. ``clients`` are the security groups that may
    connect, by name. ``proxy`` puts RDS Proxy in front of the service's role, for more clients than the instance has
    connections for; ``replica`` is a second instance, for reports; ``reader`` is a role that may read everything.
    """

    service: str
    version: str
    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    clients: Mapping[str, pulumi.Input[str]]
    instance_class: str
    storage_gib: int
    max_storage_gib: int
    multi_az: bool
    backup_days: int
    connections: int
    proxy: bool = False
    replica: bool = False
    logical_replication: bool = False
    reader: bool = True

    def __post_init__(self) -> None:
        aws_facts.POSTGRESQL.version(self.version)
        budget = max_connections(self.instance_class) - _RESERVED_CONNECTIONS
        if self.replica and not self.reader:
            raise ValueError(
                "replica is true and reader false; the replica is for reports, which log in as the reader: set both, "
                "or neither"
            )
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
    """An RDS for PostgreSQL instance, its key, its network rules, its credentials, its copies and its alarms."""

    address: pulumi.Output[str]
    """The instance itself: for migrations, and for what must not share connections."""
    port: pulumi.Output[int]
    database: str
    instance_id: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    owner_secret_arn: pulumi.Output[str]
    """The master user's secret {username, password}; RDS rotates it."""
    service_secret: secretsmanager.Secret
    """The service role's secret {username, password, host, port, database, …}; the host is the proxy's, with one."""
    reader_secret: secretsmanager.Secret | None
    """The reading role's secret, of the same form; the host is the replica's, with one."""

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
        self._name, self._args, self._context, self._secrets = name, args, context, secrets
        self._child = pulumi.ResourceOptions(parent=self)
        self.database = args.service
        key = encryption.key(name, context=context, purpose=f"Data of {args.service}", opts=self._child)
        self.security_group_id = self._security_group().id
        made = DatabaseInstances(
            f"{name}-instances",
            DatabaseInstancesArgs(
                name=name,
                owner=f"{args.service}_owner",
                database=self.database,
                version=args.version,
                instance_class=args.instance_class,
                storage_gib=args.storage_gib,
                max_storage_gib=args.max_storage_gib,
                multi_az=args.multi_az,
                backup_days=args.backup_days,
                replica=args.replica,
                logical_replication=args.logical_replication,
                subnet_ids=args.subnet_ids,
                security_group_id=self.security_group_id,
                key_arn=key.arn,
            ),
            context=context,
            opts=self._child,
        )
        primary, reports = made.primary, made.replica or made.primary
        self.address, self.port = primary.address, primary.port
        self.instance_id = primary.identifier
        self.owner_secret_arn = primary.master_user_secrets.apply(lambda found: found[0].secret_arn or "")
        self.reader_secret = self._credentials("reader", reports.address) if args.reader else None
        self.service_secret = self._credentials("service", primary.address)
        if context.production:
            self._copy_backups(primary)
        database_alarms.make(
            name,
            database_alarms.DatabaseAlarmsArgs(
                service=args.service,
                instance_id=self.instance_id,
                max_connections=max_connections(args.instance_class),
                storage_gib=args.storage_gib,
                replica_id=reports.identifier if args.replica else None,
            ),
            context=context,
            opts=self._child,
        )
        self.register_outputs({"address": self.address, "port": self.port})

    def _credentials(self, role: str, host: pulumi.Output[str]) -> secretsmanager.Secret:
        """The secret of a role that the migration makes: ``<service>_service`` or ``<service>_reader``."""
        name, service = f"{self._args.service}-database" + ("-reader" if role == "reader" else ""), self._args.service
        secret = self._secrets.declare(name, about=f"The {role} role of {service}'s database")
        if role == "service" and self._args.proxy:
            host = self._proxy(secret).endpoint
        self._secrets.fill(
            name,
            secret,
            {
                "username": f"{service}_{role}",
                "password": generated_password(f"{self._name}-{role}", self._child),
                "host": host,
                "port": self.port.apply(str),
                "database": self.database,
                # Rotation logs in as the owner, at the instance: the proxy knows one login only.
                "owner": self.owner_secret_arn,
                "instance": self.address,
            },
        )
        return secret

    def _proxy(self, secret: secretsmanager.Secret) -> DatabaseProxy:
        return DatabaseProxy(
            f"{self._name}-proxy",
            DatabaseProxyArgs(
                instance_id=self.instance_id,
                vpc_id=self._args.vpc_id,
                subnet_ids=self._args.subnet_ids,
                clients=self._args.clients,
                database_security_group_id=self.security_group_id,
                secret_arn=secret.arn,
                secrets_key_arn=self._secrets.key_arn,
            ),
            context=self._context,
            opts=self._child,
        )

    def _security_group(self) -> ec2.SecurityGroup:
        # Its rules are resources of their own: the proxy adds one.
        group = ec2.SecurityGroup(
            self._name,
            description=f"PostgreSQL of {self._args.service}, from the cluster only",
            vpc_id=self._args.vpc_id,
            tags=self._context.tags(self._name),
            opts=self._child,
        )
        for client, source in self._args.clients.items():
            ingress.rule(
                f"{self._name}-from-{client}",
                f"PostgreSQL from {client}",
                into=group.id,
                source=source,
                port=PORT,
                opts=self._child,
            )
        return group

    def _copy_backups(self, primary: rds.Instance) -> None:
        """Point-in-time recovery in the recovery Region, should the home Region be lost as a whole."""
        key = encryption.key(
            f"{self._name}-abroad",
            context=self._context,
            purpose=f"Copies of the backups of {self._args.service}",
            region=self._context.recovery_region,
            opts=self._child,
        )
        rds.InstanceAutomatedBackupsReplication(
            f"{self._name}-abroad",
            source_db_instance_arn=primary.arn,
            kms_key_id=key.arn,
            retention_period=self._args.backup_days,
            region=self._context.recovery_region,
            opts=self._child,
        )
