"""What the person on call may do in the cluster: look at everything but secrets, and mend what the runbooks mend.

EKS leads the incident role into a group of Kubernetes, and the group has what is listed here. It cannot read a secret,
run a program in a pod, bind a role, or change another namespace than the services'. Whoever may change a Deployment can
run what they like as its pods' account: EKS's audit log has every change. Tests hold the lists to the commands of the
runbooks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_kubernetes as k8s
from pulumi_aws import eks

GROUP = "on-call"
Rules = Mapping[tuple[str, str], Sequence[str]]
_LOOK = ("get", "list", "watch")
# API group and resource → verbs; everywhere.
LOOKS: Rules = {
    ("", "events"): _LOOK,
    ("", "namespaces"): _LOOK,
    ("", "nodes"): _LOOK,
    ("", "persistentvolumeclaims"): _LOOK,
    ("", "pods"): _LOOK,
    ("", "pods/log"): ("get",),
    ("", "resourcequotas"): _LOOK,
    ("", "services"): _LOOK,
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"): _LOOK,
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"): _LOOK,
    ("apps", "daemonsets"): _LOOK,
    ("apps", "deployments"): _LOOK,
    ("apps", "replicasets"): _LOOK,
    ("apps", "statefulsets"): _LOOK,
    ("autoscaling", "horizontalpodautoscalers"): _LOOK,
    ("batch", "cronjobs"): _LOOK,
    ("batch", "jobs"): _LOOK,
    ("discovery.k8s.io", "endpointslices"): _LOOK,
    ("elbv2.k8s.aws", "targetgroupbindings"): _LOOK,
    ("external-secrets.io", "externalsecrets"): _LOOK,
    ("karpenter.sh", "nodeclaims"): _LOOK,
    ("karpenter.sh", "nodepools"): _LOOK,
    ("keda.sh", "scaledobjects"): _LOOK,
    ("metrics.k8s.io", "nodes"): _LOOK,
    ("metrics.k8s.io", "pods"): _LOOK,
}
# In the services' namespace.
MENDS: Rules = {
    ("", "persistentvolumeclaims"): ("delete",),
    ("", "pods"): ("create", "delete", "patch"),
    ("apps", "deployments"): ("create", "delete", "patch"),
    ("apps", "deployments/scale"): ("get", "patch", "update"),
    ("apps", "statefulsets"): ("patch",),
    ("apps", "statefulsets/scale"): ("get", "patch", "update"),
    ("autoscaling", "horizontalpodautoscalers"): ("patch",),
    ("batch", "jobs"): ("create", "delete"),
    ("external-secrets.io", "externalsecrets"): ("patch",),
    ("keda.sh", "scaledobjects"): ("patch",),
}


# What watches the cluster, behind the API server, by the names of their Services (runbooks/_kit/watchers.py): `eventctl
# status` asks the one, and a runbook silences the other's alerts while it is at work.
_PROMETHEUS, _ALERTMANAGER = "kube-prometheus-stack-prometheus:9090", "kube-prometheus-stack-alertmanager:9093"


class ResponderAccess(pulumi.ComponentResource):
    """The entry of the incident role, and the group's roles."""

    def __init__(
        self,
        name: str,
        role_arn: pulumi.Input[str],
        *,
        cluster_name: pulumi.Input[str],
        namespace: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("platform:operations:ResponderAccess", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        eks.AccessEntry(
            name,
            cluster_name=cluster_name,
            principal_arn=role_arn,
            kubernetes_groups=[GROUP],
            type="STANDARD",
            opts=child,
        )
        group = k8s.rbac.v1.SubjectArgs(kind="Group", name=GROUP, api_group="rbac.authorization.k8s.io")
        everywhere = [
            *_rules(LOOKS),
            # A node that is lost with its zone; what runbooks remember is noted on the services' namespace.
            k8s.rbac.v1.PolicyRuleArgs(api_groups=[""], resources=["nodes"], verbs=["delete"]),
            k8s.rbac.v1.PolicyRuleArgs(
                api_groups=[""], resources=["namespaces"], resource_names=[namespace], verbs=["patch"]
            ),
            _behind(_PROMETHEUS, "get"),
            _behind(_ALERTMANAGER, "get", "create", "delete"),
        ]
        looks = k8s.rbac.v1.ClusterRole(
            name, metadata=k8s.meta.v1.ObjectMetaArgs(name=GROUP), rules=everywhere, opts=child
        )
        mends = k8s.rbac.v1.Role(
            name, metadata=k8s.meta.v1.ObjectMetaArgs(name=GROUP, namespace=namespace), rules=_rules(MENDS), opts=child
        )
        k8s.rbac.v1.ClusterRoleBinding(
            name,
            metadata=k8s.meta.v1.ObjectMetaArgs(name=GROUP),
            role_ref=_to("ClusterRole"),
            subjects=[group],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[looks]),
        )
        k8s.rbac.v1.RoleBinding(
            name,
            metadata=k8s.meta.v1.ObjectMetaArgs(name=GROUP, namespace=namespace),
            role_ref=_to("Role"),
            subjects=[group],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[mends]),
        )
        self.register_outputs({})


def _rules(rules: Rules) -> list[k8s.rbac.v1.PolicyRuleArgs]:
    return [
        k8s.rbac.v1.PolicyRuleArgs(api_groups=[group], resources=[resource], verbs=list(verbs))
        for (group, resource), verbs in rules.items()
    ]


def _behind(service: str, *verbs: str) -> k8s.rbac.v1.PolicyRuleArgs:
    return k8s.rbac.v1.PolicyRuleArgs(
        api_groups=[""], resources=["services/proxy"], resource_names=[service], verbs=list(verbs)
    )


def _to(kind: str) -> k8s.rbac.v1.RoleRefArgs:
    return k8s.rbac.v1.RoleRefArgs(api_group="rbac.authorization.k8s.io", kind=kind, name=GROUP)
