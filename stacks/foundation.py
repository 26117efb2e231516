"""The first layer: where everything else lives, and where alarms go."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pulumi
from pulumi_aws import secretsmanager

from components.board import Board
from components.context import Context
from components.network import Network, NetworkArgs
from components.observability import OnCall
from components.registry import Registry
from components.rotation import Rotation, RotationArgs
from components.secrets import Secrets
from stacks.by_hand import about
from stacks.settings import SERVICES, PlatformSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Foundation:
    context: Context
    on_call: OnCall
    network: Network
    registry: Registry
    jobs_image: pulumi.Output[str]
    """What jobs run that set something up. Every service's image has their commands; this is notification's."""
    secrets: Secrets
    database_authorities: secretsmanager.Secret
    """Who signs the certificates of the databases, for pods that do not know RDS."""
    rotation: Rotation


def build(settings: PlatformSettings, context: Context) -> Foundation:
    """The network, the image repositories, the secrets' key, and the topics that every later alarm uses."""
    on_call = OnCall("on-call", context=context)
    context = replace(context, alarm_topics=on_call.topic_arns, board=Board())
    network = Network(
        "network",
        NetworkArgs(
            cidr=settings.network.cidr,
            region=context.region,
            zones=settings.network.zones,
            nat=settings.network.nat,
        ),
        context=context,
    )
    secrets = Secrets("secrets", context=context)
    registry = Registry("images", SERVICES, readers=settings.delivery.image_readers, context=context)
    digest = settings.services["notification"].image_digest
    return Foundation(
        context=context,
        on_call=on_call,
        network=network,
        registry=registry,
        jobs_image=pulumi.Output.concat(registry.repository_urls["notification"], "@", digest),
        secrets=secrets,
        database_authorities=secrets.external("database-authorities", about=about("database-authorities")),
        rotation=Rotation(
            "rotation",
            RotationArgs(
                vpc_id=network.vpc_id,
                subnet_ids=network.intra_subnet_ids,
                secrets_key_arn=secrets.key_arn,
                interval_days=settings.secrets.rotation_days,
            ),
            context=context,
        ),
    )
