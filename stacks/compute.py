"""The second layer: the cluster, and the namespace and operators that services rely on."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.cluster import Cluster, ClusterArgs
from components.cluster_addons import ClusterAddons
from components.karpenter import Karpenter, KarpenterArgs
from components.operator_values import Site
from components.operators import Operators
from components.responder_access import ResponderAccess
from components.secret_sync import SecretSync
from components.tenancy import Namespace, Quota
from stacks.foundation import Foundation
from stacks.settings import PlatformSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Compute:
    cluster: Cluster
    addons: ClusterAddons
    namespace: Namespace
    secret_sync: SecretSync
    operators: Operators


def build(settings: PlatformSettings, foundation: Foundation, *, on_call: pulumi.Input[str]) -> Compute:
    """An EKS cluster in the private subnets; ``on_call`` is the ARN of the role that mends things there."""
    cluster = Cluster(
        "cluster",
        ClusterArgs(
            version=settings.cluster.version,
            vpc_id=foundation.network.vpc_id,
            subnet_ids=foundation.network.private_subnet_ids,
            public_access_cidrs=settings.cluster.public_access_cidrs,
            instance_types=settings.cluster.instance_types,
            min_nodes=settings.cluster.min_nodes,
            max_nodes=settings.cluster.max_nodes,
            admin_role_arns=settings.cluster.admin_role_arns,
        ),
        context=foundation.context,
    )
    limits, quota = settings.cluster.limits, settings.quota
    on_cluster = pulumi.ResourceOptions(providers={"kubernetes": cluster.kubernetes})
    Karpenter(
        "karpenter",
        KarpenterArgs(
            cluster_name=cluster.name,
            cluster_id=cluster.physical_name,
            subnet_ids=foundation.network.private_subnet_ids,
            security_group_id=cluster.security_group_id,
            node_role_name=cluster.node_role.name,
            node_role_arn=cluster.node_role.arn,
            spot=settings.cluster.spot,
            cpu=limits.cpu,
            memory_gib=limits.memory_gib,
            needed_cpu=quota.cpu,
            needed_memory_gib=quota.memory_gib,
        ),
        context=foundation.context,
        opts=on_cluster,
    )
    namespace = Namespace("platform", Quota(**settings.quota.model_dump()), opts=on_cluster)
    ResponderAccess("incident-access", on_call, cluster_name=cluster.name, namespace=namespace.name, opts=on_cluster)
    return Compute(
        cluster=cluster,
        addons=ClusterAddons(
            "cluster-addons",
            cluster.name,
            context=foundation.context,
            opts=pulumi.ResourceOptions.merge(on_cluster, pulumi.ResourceOptions(depends_on=[cluster])),
        ),
        namespace=namespace,
        secret_sync=SecretSync("secret-sync", cluster.name, context=foundation.context, opts=on_cluster),
        operators=Operators(
            "operators",
            Site(
                cluster_name=cluster.name,
                vpc_id=foundation.network.vpc_id,
                region=foundation.context.region,
                production=settings.production,
                alarm_topics=foundation.on_call.topic_arns,
            ),
            context=foundation.context,
            opts=on_cluster,
        ),
    )
