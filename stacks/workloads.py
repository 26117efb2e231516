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
from components.database import Database
from components.reach import Surroundings
from components.saga import Saga
from components.scaling import BrokerQueue, Cpu, Scaling, Sqs
from components.secret_environment import SecretEnvironment
from components.setup_job import SetupJob, SetupJobArgs
from components.workload import Process, Statements, Workload, WorkloadArgs
from stacks.by_hand import about
from stacks.compute import Compute
from stacks.data import Data
from stacks.foundation import Foundation
from stacks.messaging import NOTIFICATION, PUBLISHERS, SET_UP, SUBSCRIPTIONS
from stacks.processes import MIGRATE, PROCESSES, WORKFLOWS, Entrypoint
from stacks.settings import SERVICES, PlatformSettings, ServiceName, ServiceSettings

Sources = Mapping[str, tuple[pulumi.Input[str], str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workloads:
    saga: Saga
    services: dict[ServiceName, Workload]
    surroundings: Surroundings


@dataclass(frozen=True, slots=True, kw_only=True)
class _Provider:
    """A key that an operator sets, and the variable in which a service reads it; so for its webhooks' secret."""

    secret: secretsmanager.Secret
    variable: str
    webhook: str | None


def build(settings: PlatformSettings, foundation: Foundation, compute: Compute, data: Data) -> Workloads:
    """The state machine with its queues, then each service on the cluster."""
    saga = Saga("saga", context=foundation.context)
    outside = settings.outside
    providers: tuple[tuple[ServiceName, str, str, str | None], ...] = (
        ("booking", "booking-signing", "TICKET_SIGNING_KEY", None),
        ("payment", "payment-stripe", "STRIPE_API_KEY", "STRIPE_WEBHOOK_SECRET"),
        ("notification", "notification-novu", "NOVU_API_KEY", "NOVU_WEBHOOK_SECRET"),
    )
    keys = {
        service: _Provider(
            secret=foundation.secrets.external(name, about=about(name)), variable=variable, webhook=webhook
        )
        for service, name, variable, webhook in providers
    }
    environment: dict[ServiceName, dict[str, pulumi.Input[str]]] = {
        "booking": {"SAGA_STATE_MACHINE_ARN": saga.alias_arn},
        "payment": {"STRIPE_API_BASE": outside.stripe_api},
        "notification": {"NOVU_API_BASE": outside.novu_api, "SITE_URL": f"https://{settings.edge.domain}"},
    }
    permissions: dict[ServiceName, list[Statements]] = {service: [saga.work(service)] for service in SERVICES}
    permissions["booking"].append(saga.start())

    subnets = addresses.plan(settings.network.cidr, len(settings.network.zones))
    # The balancer is alone with AWS's own in the intra tier.
    surroundings = Surroundings(data_cidrs=subnets.data, balancer_cidrs=subnets.intra)
    set_up = _set_up_broker(foundation, compute, data, surroundings)
    workflows = _bring_novu_up_to_date(settings, foundation, compute, keys["notification"], surroundings)
    before: Mapping[ServiceName, list[pulumi.Resource]] = {"notification": [workflows]}
    services: dict[ServiceName, Workload] = {}
    for service in SERVICES:
        chosen, database = settings.services[service], data.databases[service]
        services[service] = Workload(
            service,
            WorkloadArgs(
                repository_url=foundation.registry.repository_urls[service],
                image_digest=chosen.image_digest,
                namespace=compute.namespace.name,
                cluster_name=compute.cluster.name,
                processes=[
                    Process(
                        name=entry.name,
                        command=entry.command(service),
                        scaling=_scaling(entry, chosen, saga.queue_urls[service]),
                        reaches=entry.reaches,
                        serves=entry.serves,
                    )
                    for entry in PROCESSES[service]
                ],
                environment={
                    "LOG_LEVEL": "info",
                    "DATABASE_POOL_SIZE": str(chosen.pool),
                    "OIDC_ISSUER": outside.issuer,
                    "SAGA_QUEUE_URL": saga.queue_urls[service],
                    **environment[service],
                },
                secrets=_secrets(service, keys[service], data),
                migration=_migration(database),
                migration_command=MIGRATE.command(service),
                surroundings=surroundings,
                permissions=permissions[service],
            ),
            context=foundation.context,
            opts=pulumi.ResourceOptions(
                providers={"kubernetes": compute.cluster.kubernetes},
                # Their definitions (ExternalSecret, ScaledObject) come with the operators.
                depends_on=[compute.secret_sync, compute.operators, set_up, *before.get(service, [])],
            ),
        )
    return Workloads(saga=saga, services=services, surroundings=surroundings)


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
    provider: _Provider,
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
                sources={"key": (provider.secret.name, "key")}, variables={provider.variable: "{{ .key }}"}
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


def _secrets(service: ServiceName, provider: _Provider, data: Data) -> SecretEnvironment:
    sources: dict[str, tuple[pulumi.Input[str], str]] = {
        **_all("db", data.databases[service].service_secret, "username", "password", "host", "port", "database"),
        **_all("mq", data.broker.users[service], "username", "password", "address"),
        "key": (provider.secret.name, "key"),
    }
    variables = {
        "DATABASE_URL": _DATABASE_URL,
        "AMQP_URL": f"amqps://{{{{ .mq_username }}}}:{{{{ .mq_password }}}}@{{{{ .mq_address }}}}/{VHOST}",
        provider.variable: "{{ .key }}",
    }
    if service == "booking":
        sources.update(_all("cache", data.caches[Purpose.ADMISSION].secret, "username", "password", "host", "port"))
        variables["REDIS_URL"] = (
            "rediss://{{ .cache_username }}:{{ .cache_password }}@{{ .cache_host }}:{{ .cache_port }}/0"
        )
    if provider.webhook:
        sources["webhook"] = (provider.secret.name, "webhook")
        variables[provider.webhook] = "{{ .webhook }}"
    return SecretEnvironment(sources=sources, variables=variables)


_DATABASE_URL = (
    "postgresql://{{ .db_username }}:{{ .db_password }}@{{ .db_host }}:{{ .db_port }}/{{ .db_database }}"
    "?sslmode=verify-full"
)


def _migration(database: Database) -> SecretEnvironment:
    """The owner's URL besides those of the service and the reader, whose roles the migration makes.

    RDS's passwords need escaping.
    """
    owner = (
        "postgresql://{{ .owner_username }}:{{ .owner_password | urlquery }}@{{ .db_host }}:{{ .db_port }}"
        "/{{ .db_database }}?sslmode=verify-full"
    )
    variables = {"DATABASE_URL": _DATABASE_URL, "MIGRATION_DATABASE_URL": owner}
    sources: dict[str, tuple[pulumi.Input[str], str]] = {
        **_all("db", database.service_secret, "username", "password", "host", "port", "database"),
        "owner_username": (database.owner_secret_arn, "username"),
        "owner_password": (database.owner_secret_arn, "password"),
    }
    if database.reader_secret:
        sources |= _all("reader", database.reader_secret, "username", "password")
        variables["READER_DATABASE_URL"] = _DATABASE_URL.replace(".db_user", ".reader_user").replace(
            ".db_pass", ".reader_pass"
        )
    return SecretEnvironment(sources=sources, variables=variables)


def _all(prefix: str, secret: secretsmanager.Secret, *properties: str) -> Sources:
    return {f"{prefix}_{prop}": (secret.name, prop) for prop in properties}
