"""The third layer: a database for each service, the broker and the admission cache."""

from __future__ import annotations

from dataclasses import dataclass

from components.broker import Broker, BrokerArgs
from components.cache import Cache, CacheArgs, Purpose
from components.database import Database, DatabaseArgs
from stacks.compute import Compute
from stacks.foundation import Foundation
from stacks.processes import PROCESSES
from stacks.settings import SERVICES, PlatformSettings, ServiceName


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    databases: dict[ServiceName, Database]
    broker: Broker
    cache: Cache


def build(settings: PlatformSettings, foundation: Foundation, compute: Compute) -> Data:
    """Stores in the data subnets, which have no route out, open to the cluster alone."""
    network, clients = foundation.network, compute.cluster.security_group_id
    return Data(
        databases={
            service: Database(
                f"{service}-database",
                DatabaseArgs(
                    service=service,
                    vpc_id=network.vpc_id,
                    subnet_ids=network.data_subnet_ids,
                    client_security_group_id=clients,
                    instance_class=settings.database.instance_class,
                    storage_gib=settings.database.storage_gib,
                    max_storage_gib=settings.database.max_storage_gib,
                    multi_az=settings.database.multi_az,
                    backup_days=settings.database.backup_days,
                    connections=connections(settings, service),
                ),
                secrets=foundation.secrets,
                context=foundation.context,
            )
            for service in SERVICES
        },
        broker=Broker(
            "broker",
            BrokerArgs(
                vpc_id=network.vpc_id,
                subnet_ids=network.data_subnet_ids,
                client_security_group_id=clients,
                instance_type=settings.broker.instance_type,
                deployment=settings.broker.deployment,
            ),
            secrets=foundation.secrets,
            context=foundation.context,
        ),
        cache=Cache(
            "admission",
            CacheArgs(
                purpose=Purpose.ADMISSION,
                vpc_id=network.vpc_id,
                subnet_ids=network.data_subnet_ids,
                client_security_group_id=clients,
                node_type=settings.cache.node_type,
                nodes=settings.cache.nodes,
                snapshot_days=settings.cache.snapshot_days,
            ),
            secrets=foundation.secrets,
            context=foundation.context,
        ),
    )


def connections(settings: PlatformSettings, service: ServiceName) -> int:
    """Connections that all processes of a service may hold: every replica of each has a pool of its own."""
    return len(PROCESSES[service]) * settings.services[service].replicas * settings.services[service].pool
