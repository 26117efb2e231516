"""`pulumi_eks.Cluster` and `ManagedNodeGroup` as the aws resources that the real components make of them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws
import yaml

from scripts.local.cloud.data_plane import DataPlane

# The SDK imports its modules at first use, which is no business for two threads at once: so now.
_USED = (aws.ec2.SecurityGroup, aws.eks.Cluster, aws.iam.Role)
# Policies that EKS asks of the cluster's role, and of a node's (EKS user guide, "IAM roles").
_CLUSTER_POLICY = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"
_NODE_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryReadOnly")
# SHA-1 of the root that signs EKS' OIDC issuers; IAM no longer checks it, but asks for one.
_THUMBPRINT = "9e99a48a9960b14926bb7f3b02e22da2b0ab7280"


class Cluster(pulumi.ComponentResource):
    """The aws resources behind ``eks:index:Cluster``, named as the real component names them."""

    def __init__(
        self, name: str, inputs: Mapping[str, Any], data_plane: DataPlane, options: pulumi.ResourceOptions | None
    ) -> None:
        super().__init__("eks:index:Cluster", name, None, options)
        self._name, self._inputs, self._data_plane = name, inputs, data_plane
        self._child = pulumi.ResourceOptions(parent=self)
        self.role = inputs.get("serviceRole") or self._role()
        self.security_group = self._security_group()
        self.cluster = self._cluster()
        self.kubeconfig = self._kubeconfig()
        self.oidc_provider = self._oidc_provider() if inputs.get("createOidcProvider") else None
        self.entries = self._access_entries()
        self._addons()
        self.node_group = None if inputs.get("skipDefaultNodeGroup") or inputs.get("autoMode") else self._nodes()

    def _role(self) -> aws.iam.Role:
        role = aws.iam.Role(
            f"{self._name}-eksRole-role",
            description="Allows EKS to manage clusters on your behalf.",
            assume_role_policy=_trust("eks.amazonaws.com"),
            opts=self._child,
        )
        aws.iam.RolePolicyAttachment(
            f"{self._name}-eksRole-4b490823", role=role.name, policy_arn=_CLUSTER_POLICY, opts=self._child
        )
        return role

    def _security_group(self) -> aws.ec2.SecurityGroup | None:
        if self._inputs.get("skipDefaultSecurityGroups") or self._inputs.get("clusterSecurityGroup"):
            return self._inputs.get("clusterSecurityGroup")
        group = aws.ec2.SecurityGroup(
            f"{self._name}-eksClusterSecurityGroup",
            vpc_id=self._inputs.get("vpcId"),
            description="Managed by Pulumi",
            revoke_rules_on_delete=True,
            tags={**(self._inputs.get("tags") or {}), **(self._inputs.get("clusterSecurityGroupTags") or {})} or None,
            opts=self._child,
        )
        aws.ec2.SecurityGroupRule(
            f"{self._name}-eksClusterInternetEgressRule",
            description="Allow internet access.",
            type="egress",
            from_port=0,
            to_port=0,
            protocol="-1",
            cidr_blocks=["0.0.0.0/0"],
            security_group_id=group.id,
            opts=self._child,
        )
        return group

    def _cluster(self) -> aws.eks.Cluster:
        given = self._inputs
        subnets = given.get("subnetIds")
        if subnets is None:
            lists = [ids for ids in (given.get("publicSubnetIds"), given.get("privateSubnetIds")) if ids is not None]
            subnets = pulumi.Output.all(*lists).apply(lambda found: [each for ids in found for each in ids])
        key = given.get("encryptionConfigKeyArn")
        mode = given.get("authenticationMode")
        return aws.eks.Cluster(
            f"{self._name}-eksCluster",
            name=given.get("name"),
            role_arn=self.role.arn,
            version=given.get("version"),
            vpc_config=_given(
                {
                    "subnet_ids": subnets,
                    "security_group_ids": [self.security_group.id] if self.security_group is not None else None,
                    "endpoint_public_access": given.get("endpointPublicAccess", True),
                    "endpoint_private_access": given.get("endpointPrivateAccess", False),
                    "public_access_cidrs": given.get("publicAccessCidrs"),
                }
            ),
            enabled_cluster_log_types=given.get("enabledClusterLogTypes"),
            encryption_config={"provider": {"key_arn": key}, "resources": ["secrets"]} if key is not None else None,
            access_config=None
            if mode is None
            else _given(
                {
                    "authentication_mode": mode,
                    "bootstrap_cluster_creator_admin_permissions": given.get("bootstrapClusterCreatorAdminPermissions"),
                }
            ),
            deletion_protection=given.get("deletionProtection"),
            tags={**(given.get("tags") or {}), **(given.get("clusterTags") or {})} or None,
            opts=self._child,
        )

    def _kubeconfig(self) -> pulumi.Output[Any]:
        real = self._data_plane.kubernetes
        if real is not None:
            return self.cluster.endpoint.apply(lambda _: yaml.safe_load(real.kubeconfig.read_text()))
        parts = pulumi.Output.all(self.cluster.name, self.cluster.endpoint, self.cluster.certificate_authority)
        return parts.apply(lambda found: _as_aws_writes_it(*found))

    def _oidc_provider(self) -> aws.iam.OpenIdConnectProvider:
        return aws.iam.OpenIdConnectProvider(
            f"{self._name}-oidcProvider",
            client_id_lists=["sts.amazonaws.com"],
            url=_issuer(self.cluster),
            thumbprint_lists=[_THUMBPRINT],
            opts=self._child,
        )

    def _access_entries(self) -> list[aws.eks.AccessEntry]:
        made = []
        for key, entry in (self._inputs.get("accessEntries") or {}).items():
            made.append(
                aws.eks.AccessEntry(
                    f"{self._name}-{key}",
                    cluster_name=self.cluster.name,
                    principal_arn=entry["principalArn"],
                    kubernetes_groups=entry.get("kubernetesGroups"),
                    type=entry.get("type"),
                    user_name=entry.get("username"),
                    tags=entry.get("tags"),
                    opts=self._child,
                )
            )
            for policy, association in (entry.get("accessPolicies") or {}).items():
                scope = association.get("accessScope") or {}
                aws.eks.AccessPolicyAssociation(
                    f"{self._name}-{key}-{policy}",
                    cluster_name=self.cluster.name,
                    principal_arn=entry["principalArn"],
                    policy_arn=association["policyArn"],
                    access_scope=_given({"type": scope.get("type"), "namespaces": scope.get("namespaces")}),
                    opts=pulumi.ResourceOptions(parent=self, depends_on=[made[-1]]),
                )
        return made

    def _addons(self) -> None:
        """vpc-cni unless told otherwise, CoreDNS and kube-proxy where their options ask for them."""
        if self._inputs.get("autoMode"):
            return
        wanted = {
            "vpc-cni": None if self._inputs.get("useDefaultVpcCni") else self._inputs.get("vpcCniOptions") or {},
            "coredns": self._inputs.get("corednsAddonOptions"),
            "kube-proxy": self._inputs.get("kubeProxyAddonOptions"),
        }
        for addon, chosen in wanted.items():
            if chosen is not None and chosen.get("enabled", True) is not False:
                aws.eks.Addon(
                    f"{self._name}-{addon}",
                    cluster_name=self.cluster.name,
                    addon_name=addon,
                    addon_version=chosen.get("addonVersion") or chosen.get("version"),
                    resolve_conflicts_on_create=chosen.get("resolveConflictsOnCreate", "OVERWRITE"),
                    resolve_conflicts_on_update=chosen.get("resolveConflictsOnUpdate", "OVERWRITE"),
                    opts=self._child,
                )

    def _nodes(self) -> aws.eks.NodeGroup:
        """The default group. The real component makes an auto-scaling group of its own; here it is a managed group."""
        role = aws.iam.Role(
            f"{self._name}-instanceRole-role", assume_role_policy=_trust("ec2.amazonaws.com"), opts=self._child
        )
        for policy in _NODE_POLICIES:
            aws.iam.RolePolicyAttachment(
                f"{self._name}-instanceRole-{policy}",
                role=role.name,
                policy_arn=f"arn:aws:iam::aws:policy/{policy}",
                opts=self._child,
            )
        size = {name: self._inputs.get(name) or 2 for name in ("desiredCapacity", "minSize", "maxSize")}
        return aws.eks.NodeGroup(
            f"{self._name}-nodeGroup",
            cluster_name=self.cluster.name,
            node_role_arn=role.arn,
            subnet_ids=self.cluster.vpc_config.apply(lambda config: _get(config, "subnetIds", "subnet_ids")),
            instance_types=[self._inputs.get("instanceType") or "t3.medium"],
            scaling_config={
                "desired_size": size["desiredCapacity"],
                "min_size": size["minSize"],
                "max_size": size["maxSize"],
            },
            opts=self._child,
        )

    def state(self) -> dict[str, Any]:
        """The outputs of the real component."""
        group_id = self.security_group.id if self.security_group is not None else _own_group(self.cluster)
        issuer = _issuer(self.cluster)
        return {
            "kubeconfig": self.kubeconfig,
            "kubeconfigJson": self.kubeconfig.apply(json.dumps),
            "eksCluster": self.cluster,
            "clusterSecurityGroup": self.security_group,
            "clusterSecurityGroupId": group_id,
            "nodeSecurityGroup": None,
            "nodeSecurityGroupId": group_id,
            "clusterIngressRuleId": "",
            "instanceRoles": [],
            "autoModeNodeRoleName": "",
            "defaultNodeGroupAsgName": "",
            "fargateProfileId": "",
            "fargateProfileStatus": "",
            "oidcProviderArn": self.oidc_provider.arn if self.oidc_provider else "",
            "oidcProviderUrl": issuer if self.oidc_provider else "",
            "oidcIssuer": issuer.apply(lambda url: url.removeprefix("https://")),
            "core": {
                "cluster": self.cluster,
                "vpcId": self._inputs.get("vpcId"),
                "subnetIds": self._inputs.get("subnetIds") or self._inputs.get("privateSubnetIds") or [],
                "privateSubnetIds": self._inputs.get("privateSubnetIds"),
                "publicSubnetIds": self._inputs.get("publicSubnetIds"),
                "endpoint": self.cluster.endpoint,
                "clusterSecurityGroup": self.security_group,
                "kubeconfig": self.kubeconfig,
                "clusterIamRole": self.role,
                "instanceRoles": [],
                "nodeGroupOptions": {},
                "oidcProvider": self.oidc_provider,
            },
        }


class ManagedNodeGroup(pulumi.ComponentResource):
    """The aws resources behind ``eks:index:ManagedNodeGroup``: one managed node group of the given cluster."""

    def __init__(self, name: str, inputs: Mapping[str, Any], options: pulumi.ResourceOptions | None) -> None:
        super().__init__("eks:index:ManagedNodeGroup", name, None, options)
        cluster = inputs["cluster"]
        named = inputs.get("clusterName") or pulumi.Output.from_input(cluster).apply(
            lambda core: _get(_get(core, "cluster", "eks_cluster"), "name", "name")
        )
        role = inputs.get("nodeRole")
        arguments: dict[str, Any] = {
            "cluster_name": named,
            "node_role_arn": inputs.get("nodeRoleArn") or (role.arn if role is not None else None),
            "subnet_ids": inputs.get("subnetIds")
            or pulumi.Output.from_input(cluster).apply(lambda core: _get(core, "subnetIds", "subnet_ids")),
            "scaling_config": inputs.get("scalingConfig") or {"desired_size": 2, "min_size": 1, "max_size": 2},
        }
        same = ("instanceTypes", "capacityType", "diskSize", "amiType", "labels", "taints", "launchTemplate", "tags")
        arguments |= {_pythonic(each): inputs.get(each) for each in (*same, "nodeGroupName")}
        self.group = aws.eks.NodeGroup(name, **arguments, opts=pulumi.ResourceOptions(parent=self))


def _pythonic(name: str) -> str:
    """``instanceTypes`` → ``instance_types``."""
    return re.sub(r"(?<=[a-z])[A-Z]", lambda found: f"_{found[0].lower()}", name)


def _given(values: dict[str, Any]) -> Any:
    return {key: value for key, value in values.items() if value is not None}


def _trust(service: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": ["sts:AssumeRole", "sts:TagSession"]}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _issuer(cluster: aws.eks.Cluster) -> pulumi.Output[str]:
    return cluster.identities.apply(lambda found: found[0]["oidcs"][0]["issuer"])


def _own_group(cluster: aws.eks.Cluster) -> pulumi.Output[str]:
    """The security group that EKS makes for every cluster."""
    return cluster.vpc_config.apply(
        lambda config: _get(config, "clusterSecurityGroupId", "cluster_security_group_id") or ""
    )


def _as_aws_writes_it(name: str, endpoint: str, authority: Any) -> dict[str, Any]:
    """What `aws eks update-kubeconfig` writes."""
    command = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "aws",
        "args": ["eks", "get-token", "--cluster-name", name],
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "kubernetes",
                "cluster": {"server": endpoint, "certificate-authority-data": _get(authority, "data", "data")},
            }
        ],
        "contexts": [{"name": "aws", "context": {"cluster": "kubernetes", "user": "aws"}}],
        "current-context": "aws",
        "users": [{"name": "aws", "user": {"exec": command}}],
    }


def _get(value: Any, wire: str, python: str) -> Any:
    """A field of something that is a dictionary with wire names or an object with Python's."""
    if isinstance(value, Mapping) and wire in value:
        return value[wire]
    return getattr(value, python, None)
