"""EKS. moto has clusters and node groups; access entries, add-ons and Pod Identity are kept beside it and answered
over the same HTTP endpoint (`beside.py`), so that boto3 sees them.
"""

from __future__ import annotations

from typing import Any

from scripts.local.cloud.backend import UNKNOWN, Refused
from scripts.local.cloud.real import kubernetes
from scripts.local.cloud.table import Call, Row, Scope, by


def _unused(scope: Scope) -> None:
    if scope.get("deletionProtection"):
        raise Refused("", f"InvalidRequestException: cluster {scope.id} has deletionProtection; set it to false first")
    groups = scope.call("eks", "list_nodegroups", clusterName=scope.id)["nodegroups"]
    if groups:
        raise Refused("", f"ResourceInUseException: cluster {scope.id} has node groups attached: {', '.join(groups)}")


def _cluster_exists(scope: Scope) -> None:
    """What is kept beside moto is refused as AWS would when its cluster is not there (checked at creation)."""
    name = scope["clusterName"]
    if isinstance(name, str) and not scope.preview:
        scope.call("eks", "describe_cluster", name=name)


def _vpc_config(scope: Scope) -> Any:
    given = scope["vpcConfig"]
    if given is UNKNOWN or given is None:
        return given
    # The automatic matching would not know that vpcId and clusterSecurityGroupId are outputs.
    return {
        key: value
        for key, value in given.items()
        if key
        in ("subnetIds", "securityGroupIds", "endpointPublicAccess", "endpointPrivateAccess", "publicAccessCidrs")
    }


def _beside(kind: str, id: Any, **more: Any) -> Row:
    return Row(
        token=f"aws:eks/{kind[0].lower()}{kind[1:]}:{kind}",
        service="eks",
        id=id,
        store=True,
        why="moto has no such call; boto3 sees it through the endpoint all the same",
        checks=(_cluster_exists,),
        name=None,
        **more,
    )


ROWS = (
    Row(
        token="aws:eks/cluster:Cluster",
        service="eks",
        create=Call(
            "create_cluster",
            {
                "resourcesVpcConfig": _vpc_config,
                "logging": lambda s: (
                    {"clusterLogging": [{"types": s["enabledClusterLogTypes"], "enabled": True}]}
                    if s["enabledClusterLogTypes"]
                    else None
                ),
                "encryptionConfig": lambda s: (
                    [
                        {
                            "provider": {"keyArn": s["encryptionConfig"]["provider"]["keyArn"]},
                            "resources": s["encryptionConfig"]["resources"],
                        }
                    ]
                    if s["encryptionConfig"]
                    else None
                ),
            },
            uses=("vpcConfig", "enabledClusterLogTypes", "encryptionConfig"),
        ),
        id="cluster.name",
        read=by("describe_cluster", {"name": "id"}),
        at="cluster",
        update=(
            Call(
                "update_cluster_config",
                {
                    "name": "id",
                    "logging": lambda s: (
                        {"clusterLogging": [{"types": s["enabledClusterLogTypes"], "enabled": True}]}
                        if s["enabledClusterLogTypes"]
                        else None
                    ),
                },
                when=("enabledClusterLogTypes",),
                auto=False,
            ),
        ),
        delete=by("delete_cluster", {"name": "id"}),
        outputs={
            "arn": "arn",
            "certificateAuthority": lambda _, a: {"data": a["certificateAuthority"]["data"]},
            "endpoint": "endpoint",
            "identities": lambda _, a: [{"oidcs": [{"issuer": a["identity"]["oidc"]["issuer"]}]}],
            "platformVersion": "platformVersion",
            "status": "status",
            "vpcConfig": lambda s, _: None,
            "enabledClusterLogTypes": lambda s, _: None,
        },
        defaults={"deletionProtection": False},
        told={"vpcConfig": ("clusterSecurityGroupId", "vpcId")},
        mutable=(
            "version",
            "vpcConfig",
            "accessConfig",
            "deletionProtection",
            "upgradePolicy",
            "enabledClusterLogTypes",
            "zonalShiftConfig",
            "computeConfig",
            "storageConfig",
            "forceUpdateVersion",
        ),
        replaces=("vpcConfig.subnetIds", "roleArn", "encryptionConfig"),
        longest=100,
        guards=(_unused,),
        made=kubernetes.made,
        gone=kubernetes.gone,
    ),
    Row(
        token="aws:eks/nodeGroup:NodeGroup",
        service="eks",
        create=Call(
            "create_nodegroup", {"subnets": "subnetIds", "nodeRole": "nodeRoleArn", "nodegroupName": "nodeGroupName"}
        ),
        id=lambda s, _: f"{s['clusterName']}:{s['nodeGroupName']}",
        read=by("describe_nodegroup", {"clusterName": "clusterName", "nodegroupName": "nodeGroupName"}),
        at="nodegroup",
        update=(
            Call(
                "update_nodegroup_config",
                {"clusterName": "clusterName", "nodegroupName": "nodeGroupName"},
                when=("scalingConfig", "labels", "taints", "updateConfig", "nodeRepairConfig"),
            ),
        ),
        delete=by("delete_nodegroup", {"clusterName": "clusterName", "nodegroupName": "nodeGroupName"}),
        names={"arn": "nodegroupArn"},
        outputs={
            "resources": lambda s, _: [
                {"autoscalingGroups": [{"name": f"eks-{s['nodeGroupName']}"}], "remoteAccessSecurityGroupId": ""}
            ],
        },
        mutable=("version", "releaseVersion", "launchTemplate", "forceUpdateVersion"),
        replaces=("clusterName", "nodeGroupName", "launchTemplate.id", "launchTemplate.name"),
        name="nodeGroupName",
        longest=63,
    ),
    Row(
        token="aws:eks/fargateProfile:FargateProfile",
        service="eks",
        create=Call("create_fargate_profile"),
        id=lambda s, _: f"{s['clusterName']}:{s['fargateProfileName']}",
        read=by("describe_fargate_profile", {"clusterName": "clusterName", "fargateProfileName": "fargateProfileName"}),
        at="fargateProfile",
        delete=by("delete_fargate_profile", {"clusterName": "clusterName", "fargateProfileName": "fargateProfileName"}),
        names={"arn": "fargateProfileArn", "subnetIds": "subnets"},
        name="fargateProfileName",
        longest=100,
    ),
    _beside(
        "Addon",
        lambda s, _: f"{s['clusterName']}:{s['addonName']}",
        create=Call("create_addon"),
        outputs={"arn": lambda s, _: s.arn("eks", f"addon/{s['clusterName']}/{s['addonName']}/{s.session.fresh()}")},
        replaces=("clusterName", "addonName"),
        mutable=(
            "addonVersion",
            "configurationValues",
            "resolveConflictsOnCreate",
            "resolveConflictsOnUpdate",
            "serviceAccountRoleArn",
            "podIdentityAssociations",
            "preserve",
        ),
    ),
    _beside(
        "AccessEntry",
        lambda s, _: f"{s['clusterName']}:{s['principalArn']}",
        create=Call("create_access_entry"),
        outputs={
            "accessEntryArn": lambda s, _: s.arn("eks", f"access-entry/{s['clusterName']}/{s.session.fresh()}"),
            "userName": lambda s, _: str(s["principalArn"]).replace(":role/", ":assumed-role/") + "/{{SessionName}}",
        },
        defaults={"type": "STANDARD"},
        mutable=("kubernetesGroups", "userName"),
    ),
    _beside(
        "AccessPolicyAssociation",
        lambda s, _: f"{s['clusterName']}#{s['principalArn']}#{s['policyArn']}",
        create=Call("associate_access_policy"),
    ),
    _beside(
        "PodIdentityAssociation",
        lambda s, _: f"a-{s.session.fresh()}",
        create=Call("create_pod_identity_association"),
        outputs={
            "associationId": lambda s, _: s.id,
            "associationArn": lambda s, _: s.arn("eks", f"podidentityassociation/{s['clusterName']}/{s.id}"),
        },
        mutable=("roleArn", "targetRoleArn", "disableSessionTags", "policy"),
    ),
    _beside(
        "IdentityProviderConfig",
        lambda s, _: f"{s['clusterName']}:{s['oidc']['identityProviderConfigName']}",
        create=Call("associate_identity_provider_config"),
        outputs={"arn": lambda s, _: s.arn("eks", f"identityproviderconfig/{s.id}"), "status": lambda s, _: "ACTIVE"},
    ),
)
