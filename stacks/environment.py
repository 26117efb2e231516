"""A whole environment: every layer, in order, and the outputs that services, scripts and runbooks rely on."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_aws as aws

from components.context import Context
from stacks import applications, compute, data, edge, foundation, governance, observation, workloads
from stacks.settings import PlatformSettings

# The addresses from which CloudFront calls origins (CloudFront Developer Guide, "Locations and IP address ranges of
# CloudFront edge servers").
_CLOUDFRONT = "com.amazonaws.global.cloudfront.origin-facing"


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
    callers = aws.ec2.get_managed_prefix_list_output(name=_CLOUDFRONT, opts=invoke).id
    way_in = edge.build(settings, base, cluster, services, callers=callers)
    observation.build(settings, base, cluster)
    return {
        "environment": settings.environment,
        "region": region,
        "vpcId": base.network.vpc_id,
        "clusterName": cluster.cluster.name,
        "kubeconfig": cluster.cluster.kubeconfig,
        "namespace": cluster.namespace.name,
        "stateMachineArn": services.saga.state_machine_arn,
        "stateMachineAliasArn": services.saga.alias_arn,
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
        # Alarms of what has no Region: CloudFront, its firewall and its certificate.
        "globalAlarmTopicArn": way_in.alarm_topic_arn,
        "domain": settings.edge.domain,
        # To be delegated to by the parent's zone.
        "nameServers": way_in.zone.name_servers,
        "distributionId": way_in.edge.distribution_id,
        "distributionDomain": way_in.edge.domain_name,
        "firewallArn": way_in.firewall.arn,
        "siteBucket": way_in.site.bucket,
        # Whose key "current" names the release that visitors get.
        "sitePointerArn": way_in.site.pointer_arn,
        "edgeLogGroups": {"access": way_in.edge.log_group_name, "firewall": way_in.firewall.log_group_name},
        "loadBalancerArn": way_in.balancer.arn,
        "canaries": {
            name: {"rule": canary.rule_arn, "lease": canary.lease, **canary.target_group_arns}
            for name, canary in way_in.canaries.items()
        },
        "canaryRollbackFunction": way_in.guard.function_name,
    }


def _with_provider(args: pulumi.ResourceTransformArgs, provider: aws.Provider) -> pulumi.ResourceTransformResult | None:
    if not args.type_.startswith("aws:") or args.opts.provider is not None:
        return None
    return pulumi.ResourceTransformResult(
        props=args.props, opts=pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(provider=provider))
    )
