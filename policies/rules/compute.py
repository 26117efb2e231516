"""Rules for what runs: pods without privilege, images that cannot be swapped, sagas that leave a log."""

from __future__ import annotations

from collections.abc import Iterator

import pulumi_kubernetes as k8s
from pulumi_aws import ecr, eks, sfn
from pulumi_policy import Severity

from policies.kit import Control, Properties, resource_rule, token

# Where a pod's template stands in each kind that runs pods.
_POD_SPECS = {
    token(k8s.core.v1.Pod): ("spec",),
    token(k8s.apps.v1.Deployment): ("spec", "template", "spec"),
    token(k8s.apps.v1.StatefulSet): ("spec", "template", "spec"),
    token(k8s.apps.v1.DaemonSet): ("spec", "template", "spec"),
    token(k8s.apps.v1.ReplicaSet): ("spec", "template", "spec"),
    token(k8s.batch.v1.Job): ("spec", "template", "spec"),
    token(k8s.batch.v1.CronJob): ("spec", "jobTemplate", "spec", "template", "spec"),
}
_IMMUTABLE = ("IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION")


def containers(props: Properties) -> Iterator[tuple[str, Properties]]:
    """Every container of a workload, init containers too, with its path."""
    kind = f"kubernetes:{props.get('apiVersion')}:{props.get('kind')}".replace("kubernetes:v1:", "kubernetes:core/v1:")
    path = _POD_SPECS[kind]
    spec = props
    for part in path:
        spec = spec.get(part) or {}
    for group in ("initContainers", "containers"):
        for number, container in enumerate(spec.get(group) or ()):
            yield f"{'.'.join(path)}.{group}[{number}]", container


def images_by_digest(props: Properties) -> str | None:
    """A tag can be moved under a running release; a digest cannot."""
    for path, container in containers(props):
        image = container.get("image")
        if "@sha256:" not in (image or ""):
            return f"{path}.image is {image!r}, it must name a digest (@sha256:…)"
    return None


def no_privilege_escalation(props: Properties) -> str | None:
    """Stated as false in every container: the default is true."""
    for path, container in containers(props):
        value = (container.get("securityContext") or {}).get("allowPrivilegeEscalation")
        if value is not False:
            return f"{path}.securityContext.allowPrivilegeEscalation is {value!r}, it must be false"
    return None


def tags_immutable(props: Properties) -> str | None:
    """Absent means MUTABLE."""
    value = props.get("imageTagMutability")
    return None if value in _IMMUTABLE else f"imageTagMutability is {value!r}, it must be IMMUTABLE"


def endpoint_private(props: Properties) -> str | None:
    """Absent means public."""
    value = (props.get("vpcConfig") or {}).get("endpointPublicAccess")
    return None if value is False else f"vpcConfig.endpointPublicAccess is {value!r}, it must be false"


def executions_logged(props: Properties) -> str | None:
    """A level other than OFF."""
    value = (props.get("loggingConfiguration") or {}).get("level")
    return None if value in ("ALL", "ERROR", "FATAL") else f"loggingConfiguration.level is {value!r}, it must be ERROR"


RULES = [
    resource_rule(
        "image-by-digest",
        Control(
            ids=("CKV CKV_K8S_43",),
            title="Images are named by digest",
            severity=Severity.MEDIUM,
            remedy="Name the image as repository@sha256:digest",
            link="https://kubernetes.io/docs/concepts/containers/images/#image-names",
        ),
        list(_POD_SPECS),
        images_by_digest,
    ),
    resource_rule(
        "no-privilege-escalation",
        Control(
            ids=("PSS restricted/PrivilegeEscalation",),
            title="Containers cannot gain privileges",
            severity=Severity.HIGH,
            remedy="Set securityContext.allowPrivilegeEscalation to false in every container",
            link="https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted",
        ),
        list(_POD_SPECS),
        no_privilege_escalation,
    ),
    resource_rule(
        "image-tags-immutable",
        Control(
            ids=("FSBP ECR.2",),
            title="Image tags cannot be overwritten",
            severity=Severity.MEDIUM,
            remedy="Set imageTagMutability to IMMUTABLE",
            link="https://docs.aws.amazon.com/securityhub/latest/userguide/ecr-controls.html#ecr-2",
        ),
        [token(ecr.Repository)],
        tags_immutable,
    ),
    resource_rule(
        "cluster-endpoint-private",
        Control(
            ids=("FSBP EKS.1",),
            title="The Kubernetes API is not public",
            severity=Severity.HIGH,
            remedy="Set vpcConfig.endpointPublicAccess to false and reach the API from inside the network",
            link="https://docs.aws.amazon.com/securityhub/latest/userguide/eks-controls.html#eks-1",
        ),
        [token(eks.Cluster)],
        endpoint_private,
    ),
    resource_rule(
        "saga-logged",
        Control(
            ids=("FSBP StepFunctions.1",),
            title="State machines log",
            severity=Severity.MEDIUM,
            remedy="Set loggingConfiguration with a level and a log group",
            link="https://docs.aws.amazon.com/securityhub/latest/userguide/stepfunctions-controls.html#stepfunctions-1",
        ),
        [token(sfn.StateMachine)],
        executions_logged,
    ),
]
