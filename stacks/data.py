"""The third layer: a database for each service and for what else needs one, the broker, a cache for each purpose.

Every login of them rotates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.broker import Broker, BrokerArgs
from components.cache import Cache, CacheArgs, Purpose
from components.database import Database, DatabaseArgs
from components.rotation import Rotator
from stacks.compute import Compute
from stacks.foundation import Foundation
from stacks.messaging import SUBSCRIPTIONS
from stacks.processes import PROCESSES
from stacks.settings import OWNERS, SERVICES, CacheNodes, OwnerName, PlatformSettings, ServiceName


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    databases: dict[ServiceName, Database]
    own_databases: dict[OwnerName, Database]
    """Of applications that make their own tables."""
    broker: Broker
    caches: dict[Purpose, Cache]

    @property
    def every_database(self) -> dict[str, Database]:
        """Those of services and of applications, by name."""
        return dict([*self.databases.items(), *self.own_databases.items()])


def build(settings: PlatformSettings, foundation: Foundation, compute: Compute) -> Data:
    """Stores in the data subnets, which have no route out, open to the cluster and to what rotates their secrets."""
    clients = {
        "cluster": compute.cluster.security_group_id,
        "rotation": foundation.rotation.security_group_id,
    }
    data = Data(
        databases={service: _database(settings, service, foundation, clients) for service in SERVICES},
        own_databases={owner: _own_database(settings, owner, foundation, clients) for owner in OWNERS},
        broker=Broker(
            "broker",
            BrokerArgs(
                version=settings.broker.version,
                vpc_id=foundation.network.vpc_id,
                subnet_ids=foundation.network.data_subnet_ids,
                clients=clients,
                services=SERVICES,
                queues=[each.queue for each in SUBSCRIPTIONS],
                instance_type=settings.broker.instance_type,
                deployment=settings.broker.deployment,
            ),
            secrets=foundation.secrets,
            context=foundation.context,
        ),
        caches={
            purpose: _cache(settings.cache.version, purpose, nodes, foundation, clients)
            for purpose, nodes in (
                (Purpose.ADMISSION, settings.cache.admission),
                (Purpose.READS, settings.cache.reads),
            )
        },
    )
    _rotate(foundation, data)
    return data


Clients = Mapping[str, pulumi.Input[str]]


def _database(settings: PlatformSettings, service: ServiceName, foundation: Foundation, clients: Clients) -> Database:
    chosen = settings.database
    return Database(
        f"{service}-database",
        DatabaseArgs(
            service=service,
            version=chosen.version,
            vpc_id=foundation.network.vpc_id,
            subnet_ids=foundation.network.data_subnet_ids,
            clients=clients,
            instance_class=chosen.instance_class,
            storage_gib=chosen.storage_gib,
            max_storage_gib=chosen.max_storage_gib,
            multi_az=chosen.multi_az,
            backup_days=chosen.backup_days,
            connections=connections(settings, service),
            proxy=chosen.proxy,
            replica=chosen.replica,
        ),
        secrets=foundation.secrets,
        context=foundation.context,
    )


def _own_database(settings: PlatformSettings, owner: OwnerName, foundation: Foundation, clients: Clients) -> Database:
    """Without a proxy, which takes no options of a connection, and without a reader."""
    application = settings.applications.identity if owner == "identity" else settings.applications.analytics
    chosen = application.database
    return Database(
        f"{owner}-database",
        DatabaseArgs(
            service=owner,
            version=settings.database.version,
            vpc_id=foundation.network.vpc_id,
            subnet_ids=foundation.network.data_subnet_ids,
            clients=clients,
            instance_class=chosen.instance_class,
            storage_gib=chosen.storage_gib,
            max_storage_gib=chosen.max_storage_gib,
            multi_az=chosen.multi_az,
            backup_days=chosen.backup_days,
            # A release starts one pod more before it ends one.
            connections=(application.replicas + 1) * application.pool,
            reader=False,
        ),
        secrets=foundation.secrets,
        context=foundation.context,
    )


def _cache(version: str, purpose: Purpose, nodes: CacheNodes, foundation: Foundation, clients: Clients) -> Cache:
    return Cache(
        purpose.name.lower(),
        CacheArgs(
            purpose=purpose,
            version=version,
            vpc_id=foundation.network.vpc_id,
            subnet_ids=foundation.network.data_subnet_ids,
            clients=clients,
            node_type=nodes.node_type,
            nodes=nodes.nodes,
            snapshot_days=nodes.snapshot_days,
        ),
        secrets=foundation.secrets,
        context=foundation.context,
    )


def _rotate(foundation: Foundation, data: Data) -> None:
    """Every login that the stack makes gets a schedule; RDS rotates the masters itself."""
    schedule = foundation.rotation.schedule
    for service, database in data.every_database.items():
        schedule(f"{service}-database", database.service_secret, Rotator.POSTGRESQL, after=[database])
        if database.reader_secret:
            schedule(f"{service}-database-reader", database.reader_secret, Rotator.POSTGRESQL, after=[database])
    for name, user in data.broker.users.items():
        schedule(f"broker-{name}", user, Rotator.RABBITMQ, after=[data.broker])
    schedule("broker-administrator", data.broker.administrator, Rotator.RABBITMQ, after=[data.broker])
    for purpose, cache in data.caches.items():
        schedule(f"{purpose.name.lower()}-credentials", cache.secret, Rotator.VALKEY, after=[cache])


def connections(settings: PlatformSettings, service: ServiceName) -> int:
    """Connections that all processes of a service may hold at the peak: every replica of each has a pool of its own."""
    chosen = settings.services[service]
    return sum(entry.most(chosen) for entry in PROCESSES[service]) * chosen.pool
