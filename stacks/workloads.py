"""The last layer: the saga, and the services that take part in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import secretsmanager

from components.database import Database
from components.saga import Saga
from components.workload import Process, SecretEnvironment, Statements, Workload, WorkloadArgs
from stacks.compute import Compute
from stacks.data import Data
from stacks.foundation import Foundation
from stacks.processes import MIGRATE, PROCESSES
from stacks.settings import SERVICES, PlatformSettings, ServiceName

Sources = Mapping[str, tuple[pulumi.Input[str], str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workloads:
    saga: Saga
    services: dict[ServiceName, Workload]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Provider:
    """A key that an operator sets, and the variable in which a service reads it."""

    secret: secretsmanager.Secret
    variable: str


def build(settings: PlatformSettings, foundation: Foundation, compute: Compute, data: Data) -> Workloads:
    """The state machine with its queues, then each service on the cluster."""
    saga = Saga("saga", context=foundation.context)
    outside = settings.outside
    providers: tuple[tuple[ServiceName, str, str, str], ...] = (
        ("booking", "booking-signing", "{key}: Ed25519 private key that signs tickets, PEM", "TICKET_SIGNING_KEY"),
        ("payment", "payment-stripe", "{key}: Stripe API key, {webhook}: webhook secret", "STRIPE_API_KEY"),
        ("notification", "notification-novu", "{key}: Novu API key", "NOVU_API_KEY"),
    )
    keys = {
        service: _Provider(secret=foundation.secrets.external(name, about=about), variable=variable)
        for service, name, about, variable in providers
    }
    environment: dict[ServiceName, dict[str, pulumi.Input[str]]] = {
        "booking": {"SAGA_STATE_MACHINE_ARN": saga.state_machine_arn},
        "payment": {"STRIPE_API_BASE": outside.stripe_api},
        "notification": {"NOVU_API_BASE": outside.novu_api},
    }
    permissions: dict[ServiceName, list[Statements]] = {service: [saga.work(service)] for service in SERVICES}
    permissions["booking"].append(saga.start())

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
                        replicas=chosen.replicas,
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
                permissions=permissions[service],
            ),
            context=foundation.context,
            opts=pulumi.ResourceOptions(
                providers={"kubernetes": compute.cluster.kubernetes}, depends_on=[compute.secret_sync]
            ),
        )
    return Workloads(saga=saga, services=services)


def _secrets(service: ServiceName, provider: _Provider, data: Data) -> SecretEnvironment:
    sources: dict[str, tuple[pulumi.Input[str], str]] = {
        **_all("db", data.databases[service].service_secret, "username", "password", "host", "port", "database"),
        **_all("mq", data.broker.secret, "username", "password", "address"),
        "key": (provider.secret.name, "key"),
    }
    variables = {
        "DATABASE_URL": _DATABASE_URL,
        "AMQP_URL": "amqps://{{ .mq_username }}:{{ .mq_password }}@{{ .mq_address }}/",
        provider.variable: "{{ .key }}",
    }
    if service == "booking":
        sources.update(_all("cache", data.cache.secret, "username", "password", "host", "port"))
        variables["REDIS_URL"] = (
            "rediss://{{ .cache_username }}:{{ .cache_password }}@{{ .cache_host }}:{{ .cache_port }}/0"
        )
    if service == "payment":
        sources["webhook"] = (provider.secret.name, "webhook")
        variables["STRIPE_WEBHOOK_SECRET"] = "{{ .webhook }}"
    return SecretEnvironment(sources=sources, variables=variables)


_DATABASE_URL = (
    "postgresql://{{ .db_username }}:{{ .db_password }}@{{ .db_host }}:{{ .db_port }}/{{ .db_database }}"
    "?sslmode=verify-full"
)


def _migration(database: Database) -> SecretEnvironment:
    """The owner's URL besides the service's: the migration makes the service's role. RDS's passwords need escaping."""
    owner = (
        "postgresql://{{ .owner_username }}:{{ .owner_password | urlquery }}@{{ .db_host }}:{{ .db_port }}"
        "/{{ .db_database }}?sslmode=verify-full"
    )
    return SecretEnvironment(
        sources={
            **_all("db", database.service_secret, "username", "password", "host", "port", "database"),
            "owner_username": (database.owner_secret_arn, "username"),
            "owner_password": (database.owner_secret_arn, "password"),
        },
        variables={"DATABASE_URL": _DATABASE_URL, "MIGRATION_DATABASE_URL": owner},
    )


def _all(prefix: str, secret: secretsmanager.Secret, *properties: str) -> Sources:
    return {f"{prefix}_{prop}": (secret.name, prop) for prop in properties}
