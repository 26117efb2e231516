"""A whole environment: every layer, in order, and the outputs that services, scripts and runbooks rely on."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from components.context import Context
from components.operations_record import OperationsRecord
from components.release_record import ReleaseRecord
from stacks import accounts, applications, compute, data, edge, foundation, governance, observation, tenancy, workloads
from stacks.outputs import Outputs
from stacks.settings import PlatformSettings

# The addresses from which CloudFront calls origins (CloudFront Developer Guide, "Locations and IP address ranges of
# CloudFront edge servers").
_CLOUDFRONT = "com.amazonaws.global.cloudfront.origin-facing"


def build(settings: PlatformSettings, *, region: str) -> Outputs:
    """Make the environment that ``settings`` describe; returns its outputs."""
    provider = accounts.provider(
        region, environment=settings.environment, owner=settings.owner, cost_center=settings.cost_center
    )
    invoke = pulumi.InvokeOutputOptions(provider=provider)
    context = Context(
        environment=settings.environment,
        region=region,
        recovery_region=settings.recovery_region,
        account_id=aws.get_caller_identity_output(opts=invoke).account_id,
        partition=aws.get_partition_output(opts=invoke).partition,
        production=settings.production,
        protected=settings.protected,
        log_retention_days=settings.log_retention_days,
    )
    base = foundation.build(settings, context)
    account = governance.build(settings, base.context)
    cluster = compute.build(settings, base, on_call=account.responder.role_arn)
    stores = data.build(settings, base, cluster)
    services = workloads.build(settings, base, cluster, stores)
    others = applications.build(settings, base, cluster, stores)
    databases = stores.every_database
    # Asked at once, not as an output: meanwhile the engine begins with what was declared so far. Without such a pause
    # the SDK waits for all of an environment's outputs one by one, which doubles what the program costs.
    callers = aws.ec2.get_managed_prefix_list(name=_CLOUDFRONT, opts=pulumi.InvokeOptions(provider=provider)).id
    way_in = edge.build(settings, base, cluster, services, others, callers=callers)
    observation.build(settings, base, cluster)
    offered = None if settings.production else tenancy.offer(settings, base, stores, services, way_in)
    outputs = Outputs(
        environment=settings.environment,
        account=context.account_id,
        region=region,
        vpc_id=base.network.vpc_id,
        cluster_name=cluster.cluster.name,
        kubeconfig=cluster.cluster.kubeconfig,
        namespace=cluster.namespace.name,
        state_machine_arn=services.saga.state_machine_arn,
        state_machine_alias_arn=services.saga.alias_arn,
        queue_urls=services.saga.queue_urls,
        dead_letter_urls=services.saga.dead_letter_urls,
        database_ids={name: database.instance_id for name, database in databases.items()},
        database_secret_arns={name: database.service_secret.arn for name, database in databases.items()},
        reader_secret_arns={
            name: database.reader_secret.arn for name, database in databases.items() if database.reader_secret
        },
        authorities_secret_arn=base.database_authorities.arn,
        broker_secret_arns={
            "administrator": stores.broker.administrator.arn,
            **{name: secret.arn for name, secret in stores.broker.users.items()},
        },
        cache_secret_arns={purpose.name.lower(): cache.secret.arn for purpose, cache in stores.caches.items()},
        rotation_functions=base.rotation.function_names,
        repository_urls=base.registry.repository_urls,
        issuer=others.identity.issuer,
        services_client_secret_arn=others.identity.services_secret.arn,
        search_url=others.search.application.url,
        search_secret_arns={use: secret.arn for use, secret in others.search.keys.items()},
        embedding_secret_arn=others.analytics.embedding.arn,
        plan_role_arn=account.delivery.plan_role_arn,
        apply_role_arn=account.delivery.apply_role_arn,
        incident_role_arn=account.responder.role_arn,
        alarm_topic_arns=base.on_call.topic_arns,
        global_alarm_topic_arns=way_in.alarm_topics,
        domain=settings.edge.domain,
        name_servers=way_in.zone.name_servers,
        distribution_id=way_in.edge.distribution_id,
        distribution_domain=way_in.edge.domain_name,
        firewall_arn=way_in.firewall.arn,
        site_bucket=way_in.site.bucket,
        site_pointer_arn=way_in.site.pointer_arn,
        edge_log_groups={"access": way_in.edge.log_group_name, "firewall": way_in.firewall.log_group_name},
        load_balancer_arn=way_in.balancer.arn,
        canaries={
            name: {"rule": canary.rule_arn, "lease": canary.lease, **canary.target_group_arns}
            for name, canary in way_in.canaries.items()
        },
        canary_rollback_function=way_in.guard.function_name,
        tenants_function=offered["function"] if offered else "",
        tenancy=offered,
    )
    OperationsRecord("operations", outputs.operations(), context=context)
    ReleaseRecord(
        "release",
        {service: chosen.image_digest for service, chosen in settings.services.items()},
        services.saga.version_arn,
        context=context,
        opts=pulumi.ResourceOptions(depends_on=[*services.services.values(), services.saga]),
    )
    return outputs
