"""A preview: the services of a pull request as a guest of a shared environment, with stores and a host of its own.

It has what a person needs to try a change, once each: no autoscaler, no canary, no alarm, for nobody is woken for it.
The saga's key and that of the secrets are the environment's; so are the test keys of Stripe and Novu, by reference.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from components import pod
from components.broker_topology import definitions
from components.context import Context
from components.preview_names import Names
from components.reach import Port, Surroundings
from components.route import Route, RouteArgs
from components.saga import Saga
from components.scaling import Scaling
from components.secrets import Folder, Secrets
from components.setup_job import SetupJob, SetupJobArgs
from components.tenancy import Namespace, Quota
from components.tenant import Address, Tenant, TenantArgs
from components.workload import Process, Workload
from stacks import accounts, services
from stacks.edge import API, GUESTS, serving
from stacks.messaging import PUBLISHERS, SUBSCRIPTIONS
from stacks.processes import PROCESSES, SEED
from stacks.settings import SERVICES, PreviewSettings, ServiceName
from stacks.tenancy import Host

# One pod for each process, one more of each while a release replaces it, and the jobs.
_QUOTA = Quota(pods=30, cpu=4, memory_gib=8)
_ONE = Scaling(least=1, most=1)
# Connections of each process: nobody but its author uses a preview.
_POOL = "3"
_LOG_DAYS = 7
# Something to look at and to buy: the job makes it once (services/booking/entrypoints/seed.py).
DEMO = {"event": "An evening of chamber music", "venue": "Town hall", "ticketType": "Stalls", "capacity": 100}
# Rules of the balancer that each preview has, one for each service with an API.
_RULES = len(serving())
PLACES = len(GUESTS) // _RULES


def build(settings: PreviewSettings, *, region: str) -> Mapping[str, Any]:
    """Make the preview that ``settings`` describe; returns its outputs. Raises ValueError for a place there is not."""
    if settings.place >= PLACES:
        raise ValueError(f"preview.place is {settings.place}; the balancer has places 0 to {PLACES - 1}: take another")
    names, host = Names(settings.name), Host(settings.host)
    provider = accounts.provider(
        region,
        environment=settings.host,
        owner=host.offered("owner"),
        cost_center=host.offered("costCenter"),
        Preview=settings.name,
    )
    invoke = pulumi.InvokeOutputOptions(provider=provider)
    context = Context(
        environment=f"{settings.host}-{settings.name}",
        region=region,
        recovery_region=region,
        account_id=aws.get_caller_identity_output(opts=invoke).account_id,
        partition=aws.get_partition_output(opts=invoke).partition,
        production=False,
        protected=False,
        log_retention_days=_LOG_DAYS,
    )
    cluster = k8s.Provider("cluster", kubeconfig=host.output("kubeconfig"))
    on_cluster = pulumi.ResourceOptions(providers={"kubernetes": cluster})
    namespace = Namespace(names.namespace, _QUOTA, priorities=False, opts=on_cluster)
    tenant = _tenant(names, settings, host, context)
    saga = Saga("saga", context=context, shared_key=host.offered("sagaKey"), watched=False)
    address = pulumi.Output.concat(settings.name, ".", host.output("domain"))
    setting = services.Setting(
        namespace=namespace.name,
        cluster_name=host.output("clusterName"),
        repository_urls={name: host.output("repositoryUrls")[name] for name in SERVICES},
        saga=saga,
        surroundings=Surroundings(
            data_cidrs=host.offered("subnets", "data"), balancer_cidrs=host.offered("subnets", "balancer")
        ),
        issuer=host.offered("issuer"),
        stripe_api=host.offered("stripeApi"),
        novu_api=host.offered("novuApi"),
        site=pulumi.Output.concat("https://", address),
        variables={"booking": {"REDIS_KEY_PREFIX": names.cache_prefix}},
    )
    ready = pulumi.ResourceOptions.merge(on_cluster, pulumi.ResourceOptions(depends_on=[tenant, namespace]))
    logins = {name: _logins(name, names, tenant, host) for name in SERVICES}
    made = {name: _service(name, settings, setting, logins[name], context, ready) for name in SERVICES}
    _seed(settings, setting, logins["booking"], made["booking"], on_cluster)
    for number, (name, _) in enumerate(serving()):
        _route(name, GUESTS[settings.place * _RULES + number], host, setting, address, made[name], on_cluster, context)
    return {
        "preview": settings.name,
        "host": settings.host,
        "url": pulumi.Output.concat("https://", address),
        "namespace": namespace.name,
        "stateMachineArn": saga.state_machine_arn,
        "queueUrls": saga.queue_urls,
    }


def _tenant(names: Names, settings: PreviewSettings, host: Host, context: Context) -> Tenant:
    secrets = Secrets(
        "secrets",
        context=context,
        folder=Folder(name=names.secret(settings.host, "").rstrip("/"), key_arn=host.offered("secretsKey")),
    )
    return Tenant(
        "tenant",
        TenantArgs(
            names=names,
            function_name=host.offered("function"),
            databases={
                name: Address(
                    host=host.offered("databases", name, "host"), port=host.offered("databases", name, "port")
                )
                for name in SERVICES
            },
            broker=host.offered("broker"),
            topology=definitions(PUBLISHERS, SUBSCRIPTIONS, names.virtual_host),
            cache=Address(host=host.offered("cache", "host"), port=host.offered("cache", "port")),
            user_group_id=host.offered("cache", "userGroup"),
        ),
        secrets=secrets,
        context=context,
    )


def _logins(name: ServiceName, names: Names, tenant: Tenant, host: Host) -> services.Logins:
    return services.Logins(
        database=tenant.databases[name].name,
        owner=tenant.owners[name].name,
        broker=tenant.broker[name].name,
        virtual_host=names.virtual_host,
        provider=host.offered("providers", name),
        cache=tenant.cache.name,
    )


def _service(
    name: ServiceName,
    settings: PreviewSettings,
    setting: services.Setting,
    logins: services.Logins,
    context: Context,
    opts: pulumi.ResourceOptions,
) -> Workload:
    return services.service(
        name,
        setting,
        logins,
        image_digest=settings.images[name],
        pool=_POOL,
        processes=[
            Process(
                name=entry.name,
                command=entry.command(name),
                scaling=_ONE,
                reaches=entry.reaches,
                serves=entry.serves,
                cpu="20m",
            )
            for entry in PROCESSES[name]
        ],
        context=context,
        opts=opts,
    )


def _seed(
    settings: PreviewSettings,
    setting: services.Setting,
    logins: services.Logins,
    booking: Workload,
    on_cluster: pulumi.ResourceOptions,
) -> None:
    SetupJob(
        "seed",
        SetupJobArgs(
            image=pulumi.Output.concat(setting.repository_urls["booking"], "@", settings.images["booking"]),
            command=SEED.command("booking"),
            namespace=setting.namespace,
            documents={"SEED": json.dumps(DEMO, sort_keys=True)},
            secrets=services.secrets("booking", logins),
            reaches=[Port.POSTGRES],
            surroundings=setting.surroundings,
        ),
        # As soon as its tables are there.
        opts=pulumi.ResourceOptions.merge(on_cluster, pulumi.ResourceOptions(depends_on=[booking.migrated])),
    )


def _route(
    name: ServiceName,
    priority: int,
    host: Host,
    setting: services.Setting,
    address: pulumi.Output[str],
    service: Workload,
    on_cluster: pulumi.ResourceOptions,
    context: Context,
) -> None:
    Route(
        f"{name}-guest",
        RouteArgs(
            paths=[f"{API}/{name}/*"],
            host=address,
            prefix=f"{API}/{name}",
            priority=priority,
            service=name,
            port=pod.API_PORT,
            alive="/readyz",
            namespace=setting.namespace,
            vpc_id=host.output("vpcId"),
            listener_arn=host.offered("listener"),
        ),
        context=context,
        opts=pulumi.ResourceOptions.merge(on_cluster, pulumi.ResourceOptions(depends_on=[service])),
    )
