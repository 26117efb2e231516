"""The eks provider: `pulumi_eks.Cluster` and `ManagedNodeGroup` as remote components that make the real ones' aws
children.

Children are registered with the engine, so they are checked, diffed and created by the aws provider like any other.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import grpc
import pulumi
import pulumi_aws as aws
import pulumi_eks
import yaml
from google.protobuf import empty_pb2
from pulumi.provider import ConstructResult, Provider
from pulumi.provider.server import ProviderServicer
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import provider_pb2_grpc

from scripts.local.cloud import sdk
from scripts.local.cloud.backend import UNKNOWN, Refused
from scripts.local.cloud.data_plane import DataPlane

VERSION = "4.4.0"
# The SDK imports its modules at first use, which is no business for two threads at once: so now.
_USED = (aws.ec2.SecurityGroup, aws.eks.Cluster, aws.iam.Role)
# Policies that EKS asks of the cluster's role, and of a node's (EKS user guide, "IAM roles").
_CLUSTER_POLICY = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"
_NODE_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryReadOnly")
# SHA-1 of the root that signs EKS' OIDC issuers; IAM no longer checks it, but asks for one.
_THUMBPRINT = "9e99a48a9960b14926bb7f3b02e22da2b0ab7280"
_ACCEPTED_NOT_MADE = ("nodeGroupOptions", "storageClasses", "fargate", "roleMappings", "userMappings", "instanceRole")


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
        self.group = aws.eks.NodeGroup(
            name,
            cluster_name=named,
            node_role_arn=inputs.get("nodeRoleArn") or role.arn,  # type: ignore[union-attr]
            subnet_ids=inputs.get("subnetIds")
            or pulumi.Output.from_input(cluster).apply(lambda core: _get(core, "subnetIds", "subnet_ids")),
            scaling_config=inputs.get("scalingConfig") or {"desired_size": 2, "min_size": 1, "max_size": 2},
            instance_types=inputs.get("instanceTypes"),
            capacity_type=inputs.get("capacityType"),
            disk_size=inputs.get("diskSize"),
            ami_type=inputs.get("amiType"),
            labels=inputs.get("labels"),
            taints=inputs.get("taints"),
            launch_template=inputs.get("launchTemplate"),
            tags=inputs.get("tags"),
            node_group_name=inputs.get("nodeGroupName"),
            opts=pulumi.ResourceOptions(parent=self),
        )


class EksProvider(Provider):
    """Builds the components that the engine asks for."""

    def __init__(self, data_plane: DataPlane) -> None:
        super().__init__(VERSION, "{}")
        self._data_plane = data_plane

    def construct(
        self,
        name: str,
        resource_type: str,
        inputs: Mapping[str, Any],
        options: pulumi.ResourceOptions | None = None,
    ) -> ConstructResult:
        """Check the arguments against the SDK's types, then register component and children."""
        arguments = {
            "eks:index:Cluster": pulumi_eks.ClusterArgs,
            "eks:index:ManagedNodeGroup": pulumi_eks.ManagedNodeGroupArgs,
        }
        if resource_type not in arguments:
            raise Refused("", f"{resource_type} is not simulated; known are: {', '.join(arguments)}")
        refusals = sdk.check(sdk.properties(arguments[resource_type]), _known(dict(inputs)))
        if refusals:
            told = "; ".join(f"{refusal.property}: {refusal.reason}" for refusal in refusals)
            raise Refused("", f"{resource_type} {name!r}: {told}")
        if resource_type == "eks:index:ManagedNodeGroup":
            group = ManagedNodeGroup(name, inputs, options)
            return ConstructResult(urn=group.urn, state={"nodeGroup": group.group, "placementGroupName": ""})
        ignored = [key for key in _ACCEPTED_NOT_MADE if inputs.get(key) is not None]
        if ignored:
            pulumi.log.warn(f"{name}: the simulated eks.Cluster takes {', '.join(ignored)}, but makes nothing of it")
        cluster = Cluster(name, inputs, self._data_plane, options)
        return ConstructResult(urn=cluster.urn, state=cluster.state())


class EksServicer(ProviderServicer):
    """Adds what the SDK's servicer lacks for an attached provider. One construct at a time: the SDK's settings are
    global.
    """

    def __init__(self, provider: EksProvider) -> None:
        super().__init__(provider, [], "")
        self._one_at_a_time = asyncio.Lock()

    async def Handshake(self, request: Any, context: Any) -> Any:
        return pb.ProviderHandshakeResponse(accept_secrets=True, accept_resources=True, accept_outputs=True)

    async def Attach(self, request: Any, context: Any) -> Any:
        self.engine_address = request.address
        return empty_pb2.Empty()

    async def CheckConfig(self, request: Any, context: Any) -> Any:
        return pb.CheckResponse(inputs=request.news)

    async def DiffConfig(self, request: Any, context: Any) -> Any:
        return pb.DiffResponse()

    async def Construct(self, request: Any, context: Any) -> Any:
        async with self._one_at_a_time:
            try:
                return await super()._construct(request, context)
            except Exception as error:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))


async def serve(data_plane: DataPlane) -> tuple[grpc.aio.Server, int]:
    """Start the provider on a free loopback port; returns the server and the port."""
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)])
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(EksServicer(EksProvider(data_plane)), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, port


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


def _known(value: Any) -> Any:
    """The arguments with everything that is an output or a resource replaced by UNKNOWN: types of the rest are
    checked.
    """
    if isinstance(value, pulumi.Output | pulumi.Resource):
        return UNKNOWN
    if isinstance(value, Mapping):
        return {key: _known(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_known(item) for item in value]
    return value
