"""The last layer: the saga, and the services that take part in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import secretsmanager

from components import addresses
from components.broker_setup import BrokerSetup, BrokerSetupArgs
from components.broker_topology import VHOST, definitions
from components.cache import Purpose
from components.reach import Surroundings
from components.saga import Saga
from components.scaling import BrokerQueue, Cpu, Scaling, Sqs
from components.secret_environment import SecretEnvironment
from components.setup_job import SetupJob, SetupJobArgs
from components.workload import Process, Workload
from stacks.by_hand import about
from stacks.compute import Compute
from stacks.data import Data
from stacks.foundation import Foundation
from stacks.messaging import NOTIFICATION, PUBLISHERS, SET_UP, SUBSCRIPTIONS
from stacks.processes import PROCESSES, WORKFLOWS, Entrypoint
from stacks.services import PROVIDERS, Logins, Setting, service
from stacks.settings import SERVICES, PlatformSettings, ServiceName, ServiceSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Workloads:
    """``keys`` are the secrets of the services' providers."""

    saga: Saga
    services: dict[ServiceName, Workload]
    surroundings: Surroundings
    keys: dict[ServiceName, secretsmanager.Secret]


def build(settings: PlatformSettings, foundation: Foundation, compute: Compute, data: Data) -> Workloads:
    """The state machine with its queues, then each service on the cluster."""
    saga = Saga("saga", context=foundation.context)
    outside = settings.outside
    keys = {
        name: foundation.secrets.external(provider.secret, about=about(provider.secret))
        for name, provider in PROVIDERS.items()
    }
    subnets = addresses.plan(settings.network.cidr, len(settings.network.zones))
    # The balancer is alone with AWS's own in the intra tier.
    surroundings = Surroundings(data_cidrs=subnets.data, balancer_cidrs=subnets.intra)
    set_up = _set_up_broker(foundation, compute, data, surroundings)
    workflows = _bring_novu_up_to_date(settings, foundation, compute, keys["notification"], surroundings)
    before: Mapping[ServiceName, list[pulumi.Resource]] = {"notification": [workflows]}
    setting = Setting(
        namespace=compute.namespace.name,
        cluster_name=compute.cluster.name,
        repository_urls={name: foundation.registry.repository_urls[name] for name in SERVICES},
        saga=saga,
        surroundings=surroundings,
        issuer=outside.issuer,
        stripe_api=outside.stripe_api,
        novu_api=outside.novu_api,
        site=f"https://{settings.edge.domain}",
    )
    services: dict[ServiceName, Workload] = {}
    for name in SERVICES:
        chosen = settings.services[name]
        services[name] = service(
            name,
            setting,
            _logins(name, data, keys[name]),
            image_digest=chosen.image_digest,
            pool=str(chosen.pool),
            processes=[
                Process(
                    name=entry.name,
                    command=entry.command(name),
                    scaling=_scaling(entry, chosen, saga.queue_urls[name]),
                    reaches=entry.reaches,
                    serves=entry.serves,
                )
                for entry in PROCESSES[name]
            ],
            context=foundation.context,
            opts=pulumi.ResourceOptions(
                providers={"kubernetes": compute.cluster.kubernetes},
                # Their definitions (ExternalSecret, ScaledObject) come with the operators.
                depends_on=[compute.secret_sync, compute.operators, set_up, *before.get(name, [])],
            ),
        )
    return Workloads(saga=saga, services=services, surroundings=surroundings, keys=keys)


def _logins(name: ServiceName, data: Data, key: secretsmanager.Secret) -> Logins:
    database = data.databases[name]
    return Logins(
        database=database.service_secret.name,
        owner=database.owner_secret_arn,
        broker=data.broker.users[name].name,
        virtual_host=VHOST,
        provider=key.name,
        cache=data.caches[Purpose.ADMISSION].secret.name,
        reader=database.reader_secret.name if database.reader_secret else None,
    )


def _scaling(entry: Entrypoint, chosen: ServiceSettings, commands: pulumi.Input[str]) -> Scaling:
    by: Mapping[str, Cpu | Sqs | BrokerQueue] = {
        "cpu": Cpu(),
        "commands": Sqs(url=commands),
        "events": BrokerQueue(name=NOTIFICATION.queue, url_variable="AMQP_URL"),
    }
    return Scaling(least=chosen.replicas, most=entry.most(chosen), by=by[entry.by] if entry.by else None)


def _bring_novu_up_to_date(
    settings: PlatformSettings,
    foundation: Foundation,
    compute: Compute,
    key: secretsmanager.Secret,
    surroundings: Surroundings,
) -> SetupJob:
    """Novu knows a release's workflows before the release triggers them: a job of its own for each image."""
    return SetupJob(
        "notification-workflows",
        SetupJobArgs(
            image=foundation.jobs_image,
            command=WORKFLOWS.command("notification"),
            namespace=compute.namespace.name,
            documents={"RELEASE": settings.services["notification"].image_digest},
            environment={"NOVU_API_BASE": settings.outside.novu_api},
            secrets=SecretEnvironment(
                sources={"key": (key.name, "key")}, variables={PROVIDERS["notification"].variable: "{{ .key }}"}
            ),
            reaches=WORKFLOWS.reaches,
            surroundings=surroundings,
        ),
        opts=pulumi.ResourceOptions(
            providers={"kubernetes": compute.cluster.kubernetes}, depends_on=[compute.secret_sync]
        ),
    )


def _set_up_broker(foundation: Foundation, compute: Compute, data: Data, surroundings: Surroundings) -> BrokerSetup:
    """Exchanges, queues and users, as the services' messages need them."""
    return BrokerSetup(
        "broker-setup",
        BrokerSetupArgs(
            image=foundation.jobs_image,
            command=SET_UP,
            namespace=compute.namespace.name,
            topology=definitions(PUBLISHERS, SUBSCRIPTIONS),
            administrator=data.broker.administrator,
            users=data.broker.users,
            surroundings=surroundings,
        ),
        opts=pulumi.ResourceOptions(
            providers={"kubernetes": compute.cluster.kubernetes}, depends_on=[compute.secret_sync]
        ),
    )
