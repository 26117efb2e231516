"""Private ways to AWS: what runs inside reaches its services without leaving the network.

The S3 gateway costs nothing and serves every tier; an interface endpoint has an address in each intra subnet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import ec2

from components import iam
from components.context import Context

# What nodes, pods and functions call: images, secrets, saga, logs, keys, and credentials for Pod Identity.
SERVICES = (
    "ecr.api", "ecr.dkr", "eks-auth", "kms", "logs", "monitoring", "secretsmanager", "sqs", "states", "sts",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointsArgs:
    """``cidr`` is the network whose members may use them."""

    vpc_id: pulumi.Input[str]
    cidr: str
    subnet_ids: Sequence[pulumi.Input[str]]
    route_table_ids: Sequence[pulumi.Input[str]]


class Endpoints(pulumi.ComponentResource):
    """The S3 gateway endpoint, an interface endpoint for each service, and who may use them."""

    def __init__(
        self, name: str, args: EndpointsArgs, *, context: Context, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("platform:network:Endpoints", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        tags = context.tags(name)
        ec2.VpcEndpoint(
            f"{name}-s3",
            vpc_id=args.vpc_id,
            service_name=f"com.amazonaws.{context.region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=list(args.route_table_ids),
            tags=tags,
            opts=child,
        )
        group = ec2.SecurityGroup(
            name,
            description="HTTPS from inside the network to AWS services",
            vpc_id=args.vpc_id,
            ingress=[
                ec2.SecurityGroupIngressArgs(
                    description="HTTPS from the network",
                    protocol="tcp",
                    from_port=443,
                    to_port=443,
                    cidr_blocks=[args.cidr],
                )
            ],
            tags=tags,
            opts=child,
        )
        policy = pulumi.Output.from_input(context.account_id).apply(endpoint_policy)
        for service in SERVICES:
            ec2.VpcEndpoint(
                f"{name}-{service.replace('.', '-')}",
                vpc_id=args.vpc_id,
                service_name=f"com.amazonaws.{context.region}.{service}",
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=list(args.subnet_ids),
                security_group_ids=[group.id],
                policy=policy,
                tags=tags,
                opts=child,
            )
        self.register_outputs({})


def endpoint_policy(account_id: str) -> str:
    """Only this account's identities: stolen data cannot leave through an endpoint with another account's keys."""
    return iam.document(
        iam.allow(
            ("*",), ("*",), principal={"AWS": "*"}, condition={"StringEquals": {"aws:PrincipalAccount": account_id}}
        )
    )
