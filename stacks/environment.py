"""A whole environment: every layer, in order, and the outputs that services, scripts and runbooks rely on."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_aws as aws

from components.context import Context
from stacks import applications, compute, data, foundation, governance, workloads
from stacks.settings import PlatformSettings


def build(settings: PlatformSettings, *, region: str) -> dict[str, Any]:
    """Make the environment that ``settings`` describe; returns its outputs by name."""
    provider = aws.Provider(
        "aws",
        region=region,
        default_tags=aws.ProviderDefaultTagsArgs(
            tags={
                "Environment": settings.environment,
                "Owner": settings.owner,
                "CostCenter": settings.cost_center,
                "ManagedBy": "pulumi",
                "Project": pulumi.get_project(),
            }
        ),
    )
    # Whatever a component makes of AWS uses this provider; nothing may fall back to an untagged default.
    pulumi.runtime.register_resource_transform(lambda args: _with_provider(args, provider))
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
    delivery = governance.build(settings, base.context)
    cluster = compute.build(settings, base)
    stores = data.build(settings, base, cluster)
    services = workloads.build(settings, base, cluster, stores)
    others = applications.build(settings, base, cluster, stores)
    databases = stores.every_database
    return {
        "environment": settings.environment,
        "region": region,
        "vpcId": base.network.vpc_id,
        "clusterName": cluster.cluster.name,
        "kubeconfig": cluster.cluster.kubeconfig,
        "namespace": cluster.namespace.name,
        "stateMachineArn": services.saga.state_machine_arn,
        "queueUrls": services.saga.queue_urls,
        "databaseIds": {name: database.instance_id for name, database in databases.items()},
        "databaseSecretArns": {name: database.service_secret.arn for name, database in databases.items()},
        "readerSecretArns": {
            name: database.reader_secret.arn for name, database in databases.items() if database.reader_secret
        },
        "brokerSecretArns": {
            "administrator": stores.broker.administrator.arn,
            **{name: secret.arn for name, secret in stores.broker.users.items()},
        },
        "cacheSecretArns": {purpose.name.lower(): cache.secret.arn for purpose, cache in stores.caches.items()},
        "rotationFunctions": base.rotation.function_names,
        "repositoryUrls": base.registry.repository_urls,
        **others.outputs(),
        "planRoleArn": delivery.plan_role_arn,
        "applyRoleArn": delivery.apply_role_arn,
        "alarmTopicArn": base.context.alarm_topic_arn,
    }


def _with_provider(args: pulumi.ResourceTransformArgs, provider: aws.Provider) -> pulumi.ResourceTransformResult | None:
    if not args.type_.startswith("aws:") or args.opts.provider is not None:
        return None
    return pulumi.ResourceTransformResult(
        props=args.props, opts=pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(provider=provider))
    )
