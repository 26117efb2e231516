"""RDS Proxy in front of one role of one database: more clients than connections, and a failover that clients survive.

It knows one secret, so it can log in as that role alone; TLS is required on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import ec2, rds
from pulumi_aws import iam as aws_iam

from components import iam, ingress
from components.context import Context
from components.database_instance import PORT

# Share of the instance's connections that the proxy may hold; the rest is for migrations, reports and people.
_MAX_CONNECTIONS_PERCENT = 80
# Seconds that a client waits for a connection before it is told that there is none.
_BORROW_TIMEOUT = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseProxyArgs:
    """``secret_arn`` is the role's secret {username, password}; ``secrets_key_arn`` the key it is encrypted with."""

    instance_id: pulumi.Input[str]
    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    clients: Mapping[str, pulumi.Input[str]]
    database_security_group_id: pulumi.Input[str]
    secret_arn: pulumi.Input[str]
    secrets_key_arn: pulumi.Input[str]


def reader_policy(secret_arn: str, key_arn: str) -> str:
    """Read the one secret, and decrypt it through Secrets Manager alone."""
    return iam.document(
        iam.allow(("secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"), (secret_arn,)),
        iam.allow(("kms:Decrypt",), (key_arn,)),
    )


class DatabaseProxy(pulumi.ComponentResource):
    """An RDS Proxy, its role, its security group, and its way to the instance."""

    endpoint: pulumi.Output[str]

    def __init__(
        self, name: str, args: DatabaseProxyArgs, *, context: Context, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("platform:database:Proxy", name, None, opts)
        child, tags = pulumi.ResourceOptions(parent=self), context.tags(name)
        group = ec2.SecurityGroup(
            name,
            description="RDS Proxy, from the cluster to the database only",
            vpc_id=args.vpc_id,
            ingress=[
                ingress.inline(f"PostgreSQL from {client}", source, PORT) for client, source in args.clients.items()
            ],
            egress=[
                ec2.SecurityGroupEgressArgs(
                    description="PostgreSQL to the database",
                    protocol="tcp",
                    from_port=PORT,
                    to_port=PORT,
                    security_groups=[args.database_security_group_id],
                )
            ],
            tags=tags,
            opts=child,
        )
        ingress.rule(
            f"{name}-to-database",
            "PostgreSQL from RDS Proxy",
            into=args.database_security_group_id,
            source=group.id,
            port=PORT,
            opts=child,
        )
        role = aws_iam.Role(
            name,
            assume_role_policy=context.trust("rds.amazonaws.com"),
            tags=tags,
            opts=child,
        )
        granted = aws_iam.RolePolicy(
            name,
            role=role.id,
            policy=pulumi.Output.all(args.secret_arn, args.secrets_key_arn).apply(lambda arns: reader_policy(*arns)),
            opts=child,
        )
        proxy = rds.Proxy(
            name,
            engine_family="POSTGRESQL",
            auths=[rds.ProxyAuthArgs(auth_scheme="SECRETS", iam_auth="DISABLED", secret_arn=args.secret_arn)],
            role_arn=role.arn,
            require_tls=True,
            vpc_subnet_ids=list(args.subnet_ids),
            vpc_security_group_ids=[group.id],
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[granted]),
        )
        rds.ProxyDefaultTargetGroup(
            name,
            db_proxy_name=proxy.name,
            connection_pool_config=rds.ProxyDefaultTargetGroupConnectionPoolConfigArgs(
                max_connections_percent=_MAX_CONNECTIONS_PERCENT, connection_borrow_timeout=_BORROW_TIMEOUT
            ),
            opts=child,
        )
        rds.ProxyTarget(
            name,
            db_proxy_name=proxy.name,
            target_group_name="default",
            db_instance_identifier=args.instance_id,
            opts=child,
        )
        self.endpoint = proxy.endpoint
        self.register_outputs({"endpoint": self.endpoint})
