"""The Kubernetes cluster: private by default, its secrets encrypted, its access granted by entries that AWS audits.

It refuses a public endpoint that is open to everyone: a list of CIDRs opens it, an empty list closes it.
Nodes are managed by EKS, patched Bottlerocket, and reach the metadata service in one hop only, so that a pod
cannot take its node's role.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

import pulumi
import pulumi_eks
import pulumi_kubernetes
from pulumi_aws import ec2, eks
from pulumi_aws import iam as aws_iam

from components import aws_facts, encryption, iam
from components.alarm import alarm
from components.context import Context

_LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")
# What a node needs of AWS; pods get their own permissions through Pod Identity.
_NODE_POLICIES = ("AmazonEKSWorkerNodeMinimalPolicy", "AmazonEC2ContainerRegistryPullOnly", "AmazonEKS_CNI_Policy")
# Versions are AWS's default for the cluster's own version.
_ADDONS = ("vpc-cni", "kube-proxy", "coredns", "eks-pod-identity-agent")
# Without it the CNI admits NetworkPolicies and drops nothing (EKS User Guide, "Configure your cluster for policies").
_SETTINGS = {"vpc-cni": json.dumps({"enableNetworkPolicy": "true"})}
# CIDRs wider than this are "everyone" in all but name.
_WIDEST_PUBLIC_PREFIX = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterArgs:
    """``public_access_cidrs`` are the networks that may reach the API from outside; none means none."""

    version: str
    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    public_access_cidrs: Sequence[str]
    instance_types: Sequence[str]
    min_nodes: int
    max_nodes: int
    admin_role_arns: Sequence[str] = ()

    def __post_init__(self) -> None:
        aws_facts.KUBERNETES.version(self.version)
        for cidr in self.public_access_cidrs:
            if IPv4Network(cidr).prefixlen < _WIDEST_PUBLIC_PREFIX:
                raise ValueError(
                    f"public_access_cidrs has {cidr!r}; the cluster's API is never open to everyone: "
                    "name the networks of your office or VPN, or leave the list empty"
                )
        if not 1 <= self.min_nodes <= self.max_nodes:
            raise ValueError(
                f"min_nodes is {self.min_nodes} and max_nodes {self.max_nodes}; at least one node, and no fewer at "
                "most than at least: set cluster.min_nodes and cluster.max_nodes"
            )


class Cluster(pulumi.ComponentResource):
    """An EKS cluster with one managed node group, and a Kubernetes provider for what runs on it."""

    name: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]
    kubernetes: pulumi_kubernetes.Provider
    physical_name: str
    """What people and tools call it: known before it is there."""
    node_role: aws_iam.Role
    """Every node's role; EKS admits it because the managed group has it."""

    def __init__(
        self, name: str, args: ClusterArgs, *, context: Context, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("platform:cluster:Cluster", name, None, opts)
        self._name, self._args, self._context = name, args, context
        self._child = pulumi.ResourceOptions(parent=self)
        key = encryption.key(f"{name}-secrets", context=context, purpose="Kubernetes secrets", opts=self._child)

        self.physical_name = f"{context.environment}-{name}"
        self._cluster = pulumi_eks.Cluster(
            name,
            # People and tools refer to it by name (`aws eks update-kubeconfig --name`).
            name=self.physical_name,
            version=aws_facts.KUBERNETES.version(args.version).wanted,
            vpc_id=args.vpc_id,
            private_subnet_ids=list(args.subnet_ids),
            authentication_mode=pulumi_eks.AuthenticationMode.API,
            access_entries={
                f"admin-{number}": pulumi_eks.AccessEntryArgs(
                    principal_arn=arn,
                    access_policies={
                        "admin": pulumi_eks.AccessPolicyAssociationArgs(
                            policy_arn=pulumi.Output.format(
                                "arn:{0}:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy", context.partition
                            ),
                            access_scope=eks.AccessPolicyAssociationAccessScopeArgs(type="cluster"),
                        )
                    },
                )
                for number, arn in enumerate(args.admin_role_arns)
            },
            endpoint_private_access=True,
            endpoint_public_access=bool(args.public_access_cidrs),
            public_access_cidrs=list(args.public_access_cidrs) or None,
            enabled_cluster_log_types=list(_LOG_TYPES),
            encryption_config_key_arn=key.arn,
            skip_default_node_group=True,
            skip_default_security_groups=True,
            create_instance_role=False,
            create_oidc_provider=False,
            # The add-ons are this component's own, below: the module's defaults would make each a second time.
            use_default_vpc_cni=True,
            kube_proxy_addon_options=pulumi_eks.KubeProxyAddonOptionsArgs(enabled=False),
            coredns_addon_options=pulumi_eks.CoreDnsAddonOptionsArgs(enabled=False),
            deletion_protection=context.protected,
            tags=context.tags(name),
            opts=self._child,
        )
        self.name = self._cluster.eks_cluster.name
        # The group that EKS itself makes and puts on the nodes of managed groups.
        self.security_group_id = self._cluster.eks_cluster.vpc_config.apply(
            lambda config: config.cluster_security_group_id or ""
        )
        self.kubeconfig = pulumi.Output.secret(self._cluster.kubeconfig_json)
        nodes = self._nodes()
        for addon in _ADDONS:
            eks.Addon(
                f"{name}-{addon}",
                cluster_name=self.name,
                addon_name=addon,
                configuration_values=_SETTINGS.get(addon),
                resolve_conflicts_on_create="OVERWRITE",
                resolve_conflicts_on_update="PRESERVE",
                tags=context.tags(name),
                opts=pulumi.ResourceOptions(parent=self, depends_on=[nodes]),
            )
        # What runs on the cluster waits for its nodes, and is gone before they go.
        self.kubernetes = pulumi_kubernetes.Provider(
            name,
            kubeconfig=self.kubeconfig,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[nodes]),
        )
        alarm(
            f"{name}-failed-requests",
            context=context,
            says="The Kubernetes API server answers with errors.",
            runbook="zone_loss",
            namespace="AWS/EKS",
            metric="apiserver_request_total_5XX",
            dimensions={"ClusterName": self.name},
            statistic="Sum",
            above=50,
            opts=self._child,
        )
        self.register_outputs({"name": self.name, "kubeconfig": self.kubeconfig})

    def _nodes(self) -> eks.NodeGroup:
        name, context = f"{self._name}-nodes", self._context
        self.node_role = role = aws_iam.Role(
            name, assume_role_policy=iam.trust("ec2.amazonaws.com"), tags=context.tags(self._name), opts=self._child
        )
        granted = [
            aws_iam.RolePolicyAttachment(
                f"{name}-{policy}",
                role=role.name,
                policy_arn=context.aws_policy(policy),
                opts=self._child,
            )
            for policy in _NODE_POLICIES
        ]
        template = ec2.LaunchTemplate(
            name,
            metadata_options=ec2.LaunchTemplateMetadataOptionsArgs(
                http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
            ),
            block_device_mappings=[
                ec2.LaunchTemplateBlockDeviceMappingArgs(
                    device_name="/dev/xvdb",
                    ebs=ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                        volume_size=50, volume_type="gp3", encrypted="true", delete_on_termination="true"
                    ),
                )
            ],
            tags=context.tags(self._name),
            opts=self._child,
        )
        return eks.NodeGroup(
            name,
            cluster_name=self.name,
            node_role_arn=role.arn,
            subnet_ids=list(self._args.subnet_ids),
            ami_type="BOTTLEROCKET_x86_64",
            instance_types=list(self._args.instance_types),
            launch_template=eks.NodeGroupLaunchTemplateArgs(id=template.id, version=template.latest_version.apply(str)),
            scaling_config=eks.NodeGroupScalingConfigArgs(
                min_size=self._args.min_nodes, max_size=self._args.max_nodes, desired_size=self._args.min_nodes
            ),
            update_config=eks.NodeGroupUpdateConfigArgs(max_unavailable_percentage=25),
            node_repair_config=eks.NodeGroupNodeRepairConfigArgs(enabled=True),
            tags=context.tags(self._name),
            # An autoscaler moves the desired size.
            opts=pulumi.ResourceOptions(parent=self, depends_on=granted, ignore_changes=["scalingConfig.desiredSize"]),
        )
