"""One service on the cluster, as an environment and a preview run it; they differ in where its stores and keys are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

from components.context import Context
from components.reach import Surroundings
from components.saga import Saga
from components.secret_environment import SecretEnvironment
from components.workload import Process, Workload, WorkloadArgs
from stacks.processes import MIGRATE
from stacks.settings import ServiceName

Sources = Mapping[str, tuple[pulumi.Input[str], str]]


@dataclass(frozen=True, slots=True)
class Provider:
    """A key that an operator sets, and the variable in which a service reads it; so for its webhooks' secret."""

    secret: str
    variable: str
    webhook: str | None = None


PROVIDERS: Mapping[ServiceName, Provider] = {
    "booking": Provider("booking-signing", "TICKET_SIGNING_KEY"),
    "payment": Provider("payment-stripe", "STRIPE_API_KEY", "STRIPE_WEBHOOK_SECRET"),
    "notification": Provider("notification-novu", "NOVU_API_KEY", "NOVU_WEBHOOK_SECRET"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Logins:
    """Secrets of one service, by the names or ARNs under which Secrets Manager has them.

    ``database``, ``reader`` and ``cache`` say where to log in, too; ``broker`` besides for ``virtual_host``.
    """

    database: pulumi.Input[str]
    owner: pulumi.Input[str]
    broker: pulumi.Input[str]
    virtual_host: str
    provider: pulumi.Input[str]
    cache: pulumi.Input[str] | None = None
    reader: pulumi.Input[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What the services of one environment, or of one preview, share; ``site`` is the address that people know."""

    namespace: pulumi.Input[str]
    cluster_name: pulumi.Input[str]
    repository_urls: Mapping[ServiceName, pulumi.Input[str]]
    saga: Saga
    surroundings: Surroundings
    issuer: pulumi.Input[str]
    stripe_api: pulumi.Input[str]
    novu_api: pulumi.Input[str]
    site: pulumi.Input[str]
    variables: Mapping[ServiceName, Mapping[str, pulumi.Input[str]]] = field(default_factory=dict)


def service(
    name: ServiceName,
    setting: Setting,
    logins: Logins,
    *,
    image_digest: str,
    pool: pulumi.Input[str],
    processes: Sequence[Process],
    context: Context,
    opts: pulumi.ResourceOptions,
) -> Workload:
    """Its processes with their roles, secrets and migration."""
    saga = setting.saga
    own: Mapping[ServiceName, Mapping[str, pulumi.Input[str]]] = {
        "booking": {"SAGA_STATE_MACHINE_ARN": saga.alias_arn},
        "payment": {"STRIPE_API_BASE": setting.stripe_api},
        "notification": {"NOVU_API_BASE": setting.novu_api, "SITE_URL": setting.site},
    }
    return Workload(
        name,
        WorkloadArgs(
            repository_url=setting.repository_urls[name],
            image_digest=image_digest,
            namespace=setting.namespace,
            cluster_name=setting.cluster_name,
            processes=processes,
            environment={
                "LOG_LEVEL": "info",
                "DATABASE_POOL_SIZE": pool,
                "OIDC_ISSUER": setting.issuer,
                "SAGA_QUEUE_URL": saga.queue_urls[name],
                **own[name],
                **setting.variables.get(name, {}),
            },
            secrets=secrets(name, logins),
            migration=_migration(logins),
            migration_command=MIGRATE.command(name),
            surroundings=setting.surroundings,
            permissions=[saga.work(name), *([saga.start()] if name == "booking" else [])],
        ),
        context=context,
        opts=opts,
    )


def secrets(name: ServiceName, logins: Logins) -> SecretEnvironment:
    """The variables in which a service finds its stores and its provider's key."""
    provider = PROVIDERS[name]
    sources: dict[str, tuple[pulumi.Input[str], str]] = {
        **_all("db", logins.database, "username", "password", "host", "port", "database"),
        **_all("mq", logins.broker, "username", "password", "address"),
        "key": (logins.provider, "key"),
    }
    variables = {
        "DATABASE_URL": _DATABASE_URL,
        "AMQP_URL": "amqps://{{ .mq_username }}:{{ .mq_password }}@{{ .mq_address }}/" + logins.virtual_host,
        provider.variable: "{{ .key }}",
    }
    if name == "booking" and logins.cache is not None:
        sources.update(_all("cache", logins.cache, "username", "password", "host", "port"))
        variables["REDIS_URL"] = (
            "rediss://{{ .cache_username }}:{{ .cache_password }}@{{ .cache_host }}:{{ .cache_port }}/0"
        )
    if provider.webhook:
        sources["webhook"] = (logins.provider, "webhook")
        variables[provider.webhook] = "{{ .webhook }}"
    return SecretEnvironment(sources=sources, variables=variables)


_DATABASE_URL = (
    "postgresql://{{ .db_username }}:{{ .db_password }}@{{ .db_host }}:{{ .db_port }}/{{ .db_database }}"
    "?sslmode=verify-full"
)


def _migration(logins: Logins) -> SecretEnvironment:
    """The owner's URL besides those of the service and the reader, whose roles the migration makes.

    RDS's passwords need escaping.
    """
    owner = (
        "postgresql://{{ .owner_username }}:{{ .owner_password | urlquery }}@{{ .db_host }}:{{ .db_port }}"
        "/{{ .db_database }}?sslmode=verify-full"
    )
    variables = {"DATABASE_URL": _DATABASE_URL, "MIGRATION_DATABASE_URL": owner}
    sources: dict[str, tuple[pulumi.Input[str], str]] = {
        **_all("db", logins.database, "username", "password", "host", "port", "database"),
        **_all("owner", logins.owner, "username", "password"),
    }
    if logins.reader is not None:
        sources |= _all("reader", logins.reader, "username", "password")
        variables["READER_DATABASE_URL"] = _DATABASE_URL.replace(".db_user", ".reader_user").replace(
            ".db_pass", ".reader_pass"
        )
    return SecretEnvironment(sources=sources, variables=variables)


def _all(prefix: str, secret: pulumi.Input[str], *properties: str) -> Sources:
    return {f"{prefix}_{prop}": (secret, prop) for prop in properties}
