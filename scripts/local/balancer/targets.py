"""The targets of the bound groups: the ready pods of the Service that a TargetGroupBinding names.

On EKS the AWS Load Balancer Controller follows them so. It reads EndpointSlices; here there are none, as the API server
refuses loopback addresses in them, so pods are selected as the node's own proxy does.
"""

from __future__ import annotations

from collections.abc import Sequence

from scripts.local.kubernetes.api import Api, ApiError, Object
from scripts.local.kubernetes.node.proxy import selects
from scripts.local.kubernetes.node.sources import number

_BINDINGS = "/apis/elbv2.k8s.aws/v1beta1/targetgroupbindings"
Targets = frozenset[tuple[str, int]]


async def bound(api: Api) -> dict[str, Targets]:
    """Address and port of each target, by the ARN of its group; a group that is bound to nobody ready has none."""
    try:
        bindings = (await api.get(_BINDINGS))["items"]
    except ApiError as error:
        # The stack brings the definition; until then nothing is bound.
        if error.status != 404:
            raise
        return {}
    if not bindings:
        return {}
    services, pods = (await api.get("/api/v1/services"))["items"], (await api.get("/api/v1/pods"))["items"]
    return {each["spec"]["targetGroupARN"]: targets(each, services, pods) for each in bindings}


def targets(binding: Object, services: Sequence[Object], pods: Sequence[Object]) -> Targets:
    """The targets of one binding, out of what Kubernetes says."""
    wanted, namespace = binding["spec"]["serviceRef"], binding["metadata"]["namespace"]
    return frozenset(
        (pod["status"]["podIP"], number(port.get("targetPort", port["port"]), _ports(pod)))
        for service in services
        if (service["metadata"]["namespace"], service["metadata"]["name"]) == (namespace, wanted["name"])
        for port in service["spec"]["ports"]
        if wanted["port"] in (port["port"], port.get("name"))
        for pod in pods
        if selects(service, pod) and _ready(pod)
    )


def _ports(pod: Object) -> list[Object]:
    return [port for container in pod["spec"]["containers"] for port in container.get("ports") or []]


def _ready(pod: Object) -> bool:
    """Whether it may be sent requests: one that is about to end may not."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]
