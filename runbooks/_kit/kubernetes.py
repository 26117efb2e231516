"""The environment's cluster, and how many pods its Deployments have at least.

It is reached as kubectl reaches it, by the current context, and only where EKS says that the environment's cluster is:
a context that was left over from another day changes nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from kubernetes import client, config
from kubernetes.utils.quantity import parse_quantity

from runbooks._kit.model import Refused
from runbooks._kit.target import Target

_SECONDS = 10
# What a runbook remembers is in an annotation of the namespace, named after the runbook.
_MEMORY = "runbooks.event-platform"
# Where `kubectl rollout restart` notes when it was (kubectl, "Rollout restart"): a changed template means new pods.
_RESTARTED = "kubectl.kubernetes.io/restartedAt"
# Group, version and plural of what says how many pods a Deployment has, and the field that says it.
_SAY = {
    "Deployment": ("apps", "v1", "deployments", "replicas"),
    "HorizontalPodAutoscaler": ("autoscaling", "v2", "horizontalpodautoscalers", "minReplicas"),
    "ScaledObject": ("keda.sh", "v1alpha1", "scaledobjects", "minReplicaCount"),
}
_MOST = {"HorizontalPodAutoscaler": "maxReplicas", "ScaledObject": "maxReplicaCount"}
# Where a ScaledObject says nothing (KEDA, "ScaledObject specification"); for all else the API server fills it in.
_KEDAS_LEAST, _KEDAS_MOST = 0, 100
# What one pod takes of a quota (Kubernetes, "Resource Quotas").
REQUESTS = ("pods", "requests.cpu", "requests.memory")


def connected(target: Target) -> client.ApiClient:
    """A client of the environment's cluster. Raises Refused where kubectl's current context leads elsewhere."""
    name = target.operations.cluster_name
    remedy = f"`aws eks update-kubeconfig --name {name}` makes the one that is meant the current one"
    try:
        # The variable is read here, because the library reads it when it is imported.
        api = config.new_client_from_config(os.environ.get("KUBECONFIG"))
    except config.ConfigException as error:
        raise Refused(f"kubectl has no context to go by ({error}); {remedy}") from error
    endpoint = target.client("eks").describe_cluster(name=name)["cluster"]["endpoint"]
    if api.configuration.host.rstrip("/").lower() != endpoint.rstrip("/").lower():
        raise Refused(f"kubectl's context leads to {api.configuration.host}, {name} is at {endpoint}; {remedy}")
    return api


@dataclass(frozen=True, slots=True)
class Size:
    """How many pods a Deployment has at least, and the one object that says so: its scaler, else itself.

    ``pods`` are those that it wants now, ``pod`` is what one requests, by `REQUESTS`.
    """

    deployment: str
    kind: str
    name: str
    least: int
    most: int | None
    pods: int
    ready: int
    pod: Mapping[str, Decimal]

    @property
    def told(self) -> dict[str, Any]:
        """What `Cluster.resize` needs to bring this back."""
        return {"kind": self.kind, "name": self.name, "least": self.least}


@dataclass(frozen=True, slots=True)
class Node:
    """A machine as Kubernetes knows it: ``group`` is its managed group, empty when Karpenter bought it; ``instance`` is
    EC2's id.
    """

    name: str
    uid: str
    zone: str
    group: str
    instance: str
    ready: bool


class Cluster:
    """The environment's namespace with its Deployments, and the nodes."""

    def __init__(self, api: client.ApiClient, namespace: str) -> None:
        self._objects, self._core, self._namespace = client.CustomObjectsApi(api), client.CoreV1Api(api), namespace

    @classmethod
    @contextmanager
    def connected(cls, target: Target) -> Iterator[Cluster]:
        """Connect for the length of a block. Raises Refused, and what the API server answers."""
        with connected(target) as api:
            yield cls(api, target.operations.namespace)

    def sizes(self) -> dict[str, Size]:
        """By the name of the Deployment. KEDA has an autoscaler of its own for each ScaledObject, which it rules."""
        saying = {each["metadata"]["name"]: ("Deployment", each) for each in self._all("Deployment")}
        found = {name: each for name, (_, each) in saying.items()}
        for kind in ("HorizontalPodAutoscaler", "ScaledObject"):
            for each in self._all(kind):
                saying[each["spec"]["scaleTargetRef"]["name"]] = (kind, each)
        return {name: _size(each, *saying[name]) for name, each in found.items()}

    def resize(self, told: Mapping[str, Any]) -> None:
        """Write ``told`` (as `Size.told`) where it is said."""
        self._change(told["kind"], told["name"], {_SAY[told["kind"]][3]: told["least"]})

    def restarts(self) -> dict[str, datetime]:
        """When each Deployment was restarted last; nothing of one that never was."""
        noted = {each["metadata"]["name"]: each["spec"]["template"]["metadata"] for each in self._all("Deployment")}
        return {
            name: datetime.fromisoformat(at)
            for name, template in noted.items()
            if (at := template.get("annotations", {}).get(_RESTARTED))
        }

    def restart(self, deployment: str, at: datetime) -> None:
        """What `kubectl rollout restart` does at the moment ``at``: other pods, one after the other."""
        note = {_RESTARTED: at.isoformat(timespec="seconds")}
        self._change("Deployment", deployment, {"template": {"metadata": {"annotations": note}}})

    def left(self) -> dict[str, Decimal]:
        """What the quotas of the namespace still allow, by their names for it; nothing of what no quota bounds."""
        found: dict[str, Decimal] = {}
        for quota in self._core.list_namespaced_resource_quota(self._namespace, _request_timeout=_SECONDS).items:
            for name, hard in (quota.status.hard or {}).items():
                free = parse_quantity(hard) - parse_quantity((quota.status.used or {}).get(name, 0))
                found[name] = min(found.get(name, free), free)
        return found

    def remembered(self, by: str) -> dict[str, Any]:
        """What the runbook ``by`` remembers."""
        namespace = self._core.read_namespace(self._namespace, _request_timeout=_SECONDS)
        found: dict[str, Any] = json.loads((namespace.metadata.annotations or {}).get(f"{_MEMORY}/{by}", "{}"))
        return found

    def remember(self, what: Mapping[str, Any], *, by: str) -> None:
        """Have the runbook ``by`` remember ``what`` instead."""
        note = json.dumps(what, sort_keys=True) if what else None
        change = {"metadata": {"annotations": {f"{_MEMORY}/{by}": note}}}
        self._core.patch_namespace(self._namespace, change, _request_timeout=_SECONDS)

    def nodes(self) -> list[Node]:
        """All of them, whoever bought them."""
        return [_node(each) for each in self._core.list_node(_request_timeout=_SECONDS).items]

    def remove_node(self, name: str, uid: str) -> None:
        """Remove the node that had this uid, and none that came after it under its name."""
        preconditions = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=uid))
        self._core.delete_node(name, body=preconditions, _request_timeout=_SECONDS)

    def _change(self, kind: str, name: str, spec: Mapping[str, Any]) -> None:
        group, version, plural, _ = _SAY[kind]
        self._objects.patch_namespaced_custom_object(
            group, version, self._namespace, plural, name, {"spec": spec}, _request_timeout=_SECONDS
        )

    def _all(self, kind: str) -> list[dict[str, Any]]:
        group, version, plural, _ = _SAY[kind]
        found: list[dict[str, Any]] = self._objects.list_namespaced_custom_object(
            group, version, self._namespace, plural, _request_timeout=_SECONDS
        )["items"]
        return found


def _size(deployment: Mapping[str, Any], kind: str, says: Mapping[str, Any]) -> Size:
    return Size(
        deployment=deployment["metadata"]["name"],
        kind=kind,
        name=says["metadata"]["name"],
        least=says["spec"].get(_SAY[kind][3], _KEDAS_LEAST),
        most=says["spec"].get(_MOST[kind], _KEDAS_MOST) if kind in _MOST else None,
        pods=deployment["spec"]["replicas"],
        ready=deployment.get("status", {}).get("readyReplicas", 0),
        pod=_requests(deployment["spec"]["template"]["spec"]),
    )


def _requests(pod: Mapping[str, Any]) -> dict[str, Decimal]:
    asked = [each.get("resources", {}).get("requests", {}) for each in pod["containers"]]
    cpu, memory = (sum((parse_quantity(each.get(of, 0)) for each in asked), Decimal()) for of in ("cpu", "memory"))
    return dict(zip(REQUESTS, (Decimal(1), cpu, memory), strict=True))


def _node(node: Any) -> Node:
    labels = node.metadata.labels or {}
    return Node(
        name=node.metadata.name,
        uid=node.metadata.uid,
        zone=labels.get("topology.kubernetes.io/zone", ""),
        group=labels.get("eks.amazonaws.com/nodegroup", ""),
        # aws:///ZONE/ID (Kubernetes' cloud provider for AWS).
        instance=(node.spec.provider_id or "").rpartition("/")[2],
        ready=any(each.type == "Ready" and each.status == "True" for each in node.status.conditions or ()),
    )
