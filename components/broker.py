"""The message broker: Amazon MQ for RabbitMQ, private, encrypted, its credentials in Secrets Manager.

A RabbitMQ broker cannot change its security groups (Amazon MQ API reference, UpdateBroker), so the group never changes:
its rules do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import pulumi
from pulumi_aws import ec2, mq, secretsmanager

from components import encryption
from components.alarm import Severity, alarm
from components.context import Context
from components.secrets import Secrets, generated_password

PORT = 5671
ENGINE_VERSION = "4.2"
_USER = "platform"
# GiB of the instance types that Amazon MQ for RabbitMQ offers in the m7g family (those of EC2's m7g).
MEMORY_GIB = {"mq.m7g.medium": 4, "mq.m7g.large": 8, "mq.m7g.xlarge": 16, "mq.m7g.2xlarge": 32}
# RabbitMQ blocks publishers at this share of the memory (its default vm_memory_high_watermark); we hear of it earlier.
_WATERMARK, _WARN_AT = 0.4, 0.8


class Deployment(StrEnum):
    """One node, or three in three zones."""

    SINGLE = "SINGLE_INSTANCE"
    CLUSTER = "CLUSTER_MULTI_AZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerArgs:
    """``subnet_ids`` are the data subnets; a single instance uses the first."""

    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    client_security_group_id: pulumi.Input[str]
    instance_type: str
    deployment: Deployment

    def __post_init__(self) -> None:
        if self.instance_type not in MEMORY_GIB:
            raise ValueError(
                f"instance_type is {self.instance_type!r}; choose from {', '.join(MEMORY_GIB)}, or add it with its "
                "memory to MEMORY_GIB: the memory alarm depends on it"
            )
        # Amazon MQ Developer Guide, "Amazon MQ for RabbitMQ instance types": clusters start at m5/m7g large.
        if self.deployment is Deployment.CLUSTER and self.instance_type.endswith((".micro", ".medium")):
            raise ValueError(
                f"instance_type is {self.instance_type!r}; a broker in several zones needs mq.m7g.large or larger: "
                "set broker.instance_type, or broker.deployment to SINGLE_INSTANCE"
            )


class Broker(pulumi.ComponentResource):
    """A RabbitMQ broker and the user that the services share."""

    address: pulumi.Output[str]
    """``host:port`` of AMQP over TLS."""
    secret: secretsmanager.Secret
    """{username, password, address}"""

    def __init__(
        self,
        name: str,
        args: BrokerArgs,
        *,
        secrets: Secrets,
        context: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("platform:broker:Broker", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        key = encryption.key(name, context=context, purpose="Messages", opts=child)
        group = ec2.SecurityGroup(
            name,
            description="AMQP and the console over TLS, from the cluster only",
            vpc_id=args.vpc_id,
            ingress=[
                ec2.SecurityGroupIngressArgs(
                    description=about,
                    protocol="tcp",
                    from_port=port,
                    to_port=port,
                    security_groups=[args.client_security_group_id],
                )
                for about, port in (("AMQP over TLS", PORT), ("Management API", 443))
            ],
            tags=context.tags(name),
            opts=child,
        )
        password = generated_password(name, child)
        broker = mq.Broker(
            name,
            broker_name=f"{context.environment}-{name}",
            engine_type="RabbitMQ",
            engine_version=ENGINE_VERSION,
            host_instance_type=args.instance_type,
            deployment_mode=args.deployment,
            publicly_accessible=False,
            subnet_ids=list(args.subnet_ids) if args.deployment is Deployment.CLUSTER else [args.subnet_ids[0]],
            security_groups=[group.id],
            # Required for RabbitMQ 3.13 and later (Amazon MQ Developer Guide, "Version management").
            auto_minor_version_upgrade=True,
            encryption_options=mq.BrokerEncryptionOptionsArgs(use_aws_owned_key=False, kms_key_id=key.arn),
            logs=mq.BrokerLogsArgs(general=True),
            maintenance_window_start_time=mq.BrokerMaintenanceWindowStartTimeArgs(
                day_of_week="TUESDAY", time_of_day="03:00", time_zone="UTC"
            ),
            users=[mq.BrokerUserArgs(username=_USER, password=password)],
            tags=context.tags(name),
            opts=context.keep(child),
        )
        self.address = broker.instances.apply(lambda nodes: _amqps(nodes[0].endpoints))
        self.secret = secrets.keep(
            f"{name}-credentials",
            {"username": _USER, "password": password, "address": self.address},
            about="The user with which the services reach the broker",
        )
        for role, says, runbook, metric, severity, above in (
            (
                "memory",
                "The broker is close to blocking publishers.",
                "broker_memory_alarm",
                "RabbitMQMemUsed",
                Severity.PAGE,
                MEMORY_GIB[args.instance_type] * 1024**3 * _WATERMARK * _WARN_AT,
            ),
            (
                "backlog",
                "Messages pile up: consumers are slow or gone.",
                "notification_backlog",
                "MessageReadyCount",
                Severity.TICKET,
                10_000,
            ),
        ):
            alarm(
                f"{name}-{role}",
                context=context,
                says=says,
                runbook=runbook,
                namespace="AWS/AmazonMQ",
                metric=metric,
                dimensions={"Broker": broker.broker_name},
                above=above,
                severity=severity,
                opts=child,
            )
        self.register_outputs({"address": self.address})


def _amqps(endpoints: Sequence[str] | None) -> str:
    found = [endpoint for endpoint in endpoints or () if endpoint.startswith("amqps://")]
    if not found:
        raise ValueError(f"the broker has endpoints {list(endpoints or ())} and none is amqps: it must be RabbitMQ")
    return found[0].removeprefix("amqps://")
