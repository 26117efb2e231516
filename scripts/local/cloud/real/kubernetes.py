"""An EKS cluster answers as the real local kube-apiserver, when there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from moto.eks.models import eks_backends

from scripts.local.cloud.table import Scope


def made(scope: Scope) -> None:
    """Give AWS's answers the endpoint and the authority of the kubeconfig in the data plane."""
    cluster = eks_backends[scope.session.account][scope.region].clusters[scope.id]
    if not str(cluster.identity["oidc"]["issuer"]).endswith(_issuer_id(scope)):
        cluster.identity["oidc"]["issuer"] = f"https://oidc.eks.{scope.region}.amazonaws.com/id/{_issuer_id(scope)}"
    real = scope.session.data_plane.kubernetes
    if real is not None:
        target = current_cluster(real.kubeconfig)
        cluster.endpoint = target["server"]
        cluster.certificate_authority = {"data": target.get("certificate-authority-data", "")}


def current_cluster(kubeconfig: Path) -> dict[str, Any]:
    """The cluster that the current context of a kubeconfig file names."""
    config = yaml.safe_load(kubeconfig.read_text())
    context = next(each for each in config["contexts"] if each["name"] == config["current-context"])["context"]
    found: dict[str, Any] = next(each for each in config["clusters"] if each["name"] == context["cluster"])["cluster"]
    return found


def _issuer_id(scope: Scope) -> str:
    """Each cluster has an issuer of its own; moto gives them all the same one."""
    import hashlib

    return hashlib.sha256(scope.id.encode()).hexdigest()[:32].upper()
