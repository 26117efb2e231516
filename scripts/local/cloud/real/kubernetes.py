"""An EKS cluster answers as the real local kube-apiserver, when there is one."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import yaml
from moto.eks.models import eks_backends

from scripts.local.cloud.table import Scope


def made(scope: Scope) -> None:
    """Give AWS's answers the endpoint and the authority of the kubeconfig in the data plane.

    Like EKS, also make the security group that nodes and control plane share.
    """
    cluster = eks_backends[scope.session.account][scope.region].clusters[scope.id]
    network = cluster.resources_vpc_config
    if not network.get("clusterSecurityGroupId"):
        subnets = scope.call("ec2", "describe_subnets", SubnetIds=network["subnetIds"])["Subnets"]
        network["vpcId"] = subnets[0]["VpcId"]
        network["clusterSecurityGroupId"] = scope.call(
            "ec2",
            "create_security_group",
            GroupName=f"eks-cluster-sg-{scope.id}",
            Description="Shared by the control plane and the nodes",
            VpcId=network["vpcId"],
        )["GroupId"]
    added = {key: network[key] for key in ("clusterSecurityGroupId", "vpcId")}
    scope.state["vpcConfig"] = {**scope.state["vpcConfig"], **added}
    if not str(cluster.identity["oidc"]["issuer"]).endswith(_issuer_id(scope)):
        cluster.identity["oidc"]["issuer"] = f"https://oidc.eks.{scope.region}.amazonaws.com/id/{_issuer_id(scope)}"
    real = scope.session.data_plane.kubernetes
    if real is not None:
        target = current_cluster(real.kubeconfig)
        cluster.endpoint = target["server"]
        cluster.certificate_authority = {"data": target.get("certificate-authority-data", "")}


def gone(scope: Scope) -> None:
    """EKS removes the security group with the cluster."""
    group = (scope.state.get("vpcConfig") or {}).get("clusterSecurityGroupId")
    if group:
        scope.call("ec2", "delete_security_group", GroupId=group)


def current_cluster(kubeconfig: Path) -> dict[str, Any]:
    """The cluster that the current context of a kubeconfig file names."""
    config = yaml.safe_load(kubeconfig.read_text())
    context = next(each for each in config["contexts"] if each["name"] == config["current-context"])["context"]
    found: dict[str, Any] = next(each for each in config["clusters"] if each["name"] == context["cluster"])["cluster"]
    return found


def _issuer_id(scope: Scope) -> str:
    """Each cluster has an issuer of its own; moto gives them all the same one."""
    return hashlib.sha256(scope.id.encode()).hexdigest()[:32].upper()
