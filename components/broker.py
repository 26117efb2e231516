"""The message broker: Amazon MQ for RabbitMQ, private, encrypted, its credentials in Secrets Manager.

A RabbitMQ broker cannot change its security groups (Amazon MQ API reference, UpdateBroker), so the group never changes:
its rules do. Each service has a login of its own; what it may touch is in `broker_topology`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import pulumi
from pulumi_aws import ec2, mq, secretsmanager

from components import aws_facts, broker_alarms, encryption, ingress
from components.context import Context
from components.secrets import Secrets, generated_password

PORT = 5671
_ADMINISTRATOR = "platform"


class Deployment(StrEnum):
    """One node, or three in three zones."""

    SINGLE = "SINGLE_INSTANCE"
    CLUSTER = "CLUSTER_MULTI_AZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerArgs:
    """``subnet_ids`` are the data subnets; a single instance uses the first.

    ``services`` get a login each, and ``clients`` are the security groups that may connect, by name. Somebody is told
    of the dead letters of ``queues``. ``version`` may be an upgrade, like ``3.12 -> 3.13``.
    """

    version: str
    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    clients: Mapping[str, pulumi.Input[str]]
    services: Sequence[str]
    queues: Sequence[str]
    instance_type: str
    deployment: Deployment

    def __post_init__(self) -> None:
        version = aws_facts.RABBITMQ.version(self.version)
        if version.wanted.startswith("4.") and not self.instance_type.startswith("mq.m7g."):
            raise ValueError(
                f"instance_type is {self.instance_type!r}; RabbitMQ {version.wanted} runs on mq.m7g alone "
                "(Amazon MQ Developer Guide, 'RabbitMQ 4'): set broker.instance_type"
            )
        found = aws_facts.BROKER_CLASSES.find(self.instance_type)
        if self.deployment is Deployment.CLUSTER and not found.clusters:
            raise ValueError(
                f"instance_type is {self.instance_type!r}; a broker in several zones needs mq.m7g.large or larger: "
                "set broker.instance_type, or broker.deployment to SINGLE_INSTANCE"
            )


class Broker(pulumi.ComponentResource):
    """A RabbitMQ broker, its administrator, and a login for each service."""

    address: pulumi.Output[str]
    """``host:port`` of AMQP over TLS."""
    management_url: pulumi.Output[str]
    administrator: secretsmanager.Secret
    """{username, password, management}: who sets the broker up; no service logs in with it."""
    users: dict[str, secretsmanager.Secret]
    """Service → {username, password, address, management, administrator}."""

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
        child = self._child = pulumi.ResourceOptions(parent=self)
        self._name, self._context = name, context
        key = encryption.key(name, context=context, purpose="Messages", opts=child)
        group = self._security_group(args)
        password = generated_password(name, child)
        broker = mq.Broker(
            name,
            broker_name=f"{context.environment}-{name}",
            engine_type="RabbitMQ",
            engine_version=aws_facts.RABBITMQ.version(args.version).wanted,
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
            users=[mq.BrokerUserArgs(username=_ADMINISTRATOR, password=password)],
            tags=context.tags(name),
            # Rotation changes the administrator's password inside the broker; Amazon MQ knows the first one only.
            opts=pulumi.ResourceOptions.merge(context.keep(child), pulumi.ResourceOptions(ignore_changes=["users"])),
        )
        self.address = broker.instances.apply(lambda nodes: _amqps(nodes[0].endpoints))
        self.management_url = broker.instances.apply(lambda nodes: (nodes[0].console_url or "").rstrip("/"))
        self.administrator = secrets.keep(
            f"{name}-administrator",
            {"username": _ADMINISTRATOR, "password": password, "management": self.management_url},
            about="Who sets the broker up; no service logs in with it",
        )
        self.users = {
            service: secrets.keep(
                f"{name}-{service}",
                {
                    "username": service,
                    "password": generated_password(f"{name}-{service}", child),
                    "address": self.address,
                    "management": self.management_url,
                    "administrator": self.administrator.arn,
                },
                about=f"The login of {service} at the broker",
            )
            for service in args.services
        }
        broker_alarms.make(
            name,
            broker.broker_name,
            queues=args.queues,
            memory_gib=aws_facts.BROKER_CLASSES.find(args.instance_type).memory_gib,
            context=context,
            opts=child,
        )
        self.register_outputs({"address": self.address})

    def _security_group(self, args: BrokerArgs) -> ec2.SecurityGroup:
        # RabbitMQ brokers refuse another group: the rules are resources of their own, so that the group never changes.
        group = ec2.SecurityGroup(
            self._name,
            description="AMQP and the management API over TLS, from inside only",
            vpc_id=args.vpc_id,
            tags=self._context.tags(self._name),
            opts=self._child,
        )
        for client, source in args.clients.items():
            for role, port in (("amqp", PORT), ("management", 443)):
                ingress.rule(
                    f"{self._name}-{role}-from-{client}",
                    f"{role} from {client}",
                    into=group.id,
                    source=source,
                    port=port,
                    opts=self._child,
                )
        return group


def _amqps(endpoints: Sequence[str] | None) -> str:
    found = [endpoint for endpoint in endpoints or () if endpoint.startswith("amqps://")]
    if not found:
        raise ValueError(f"the broker has endpoints {list(endpoints or ())} and none is amqps: it must be RabbitMQ")
    return found[0].removeprefix("amqps://")
