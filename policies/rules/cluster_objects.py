"""Rules for what else a cluster holds: namespaces, rights, services, budgets, charts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policies.checks import Judged, Properties, at_least, first, matching, never, none_of, one_of
from policies.kit import rule, stack_rule
from policies.pods import RUN_ON, TYPES
from policies.stacks import Resources, known, of

_DEPLOYMENT = "kubernetes:apps/v1:Deployment"
_STATEFUL = "kubernetes:apps/v1:StatefulSet"
_BUDGET = "kubernetes:policy/v1:PodDisruptionBudget"
_NETWORK_POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
_SERVICE = "kubernetes:core/v1:Service"
_SCALER = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"
_ENFORCE = "pod-security.kubernetes.io/enforce"
_WRITES = frozenset({"*", "create", "update", "patch", "delete"})
_REMOVED = (
    "kubernetes:policy/v1beta1:PodDisruptionBudget",
    "kubernetes:policy/v1beta1:PodSecurityPolicy",
    "kubernetes:batch/v1beta1:CronJob",
    "kubernetes:networking.k8s.io/v1beta1:Ingress",
    "kubernetes:extensions/v1beta1:Ingress",
    "kubernetes:autoscaling/v2beta1:HorizontalPodAutoscaler",
    "kubernetes:autoscaling/v2beta2:HorizontalPodAutoscaler",
    "kubernetes:apps/v1beta1:Deployment",
    "kubernetes:apps/v1beta2:Deployment",
    "kubernetes:extensions/v1beta1:Deployment",
)
_CHARTS = (
    "metrics-server",
    "reloader",
    "cert-manager",
    "argo-rollouts",
    "aws-load-balancer-controller",
    "keda",
    "kube-prometheus-stack",
    "external-secrets",
    "oci://public.ecr.aws/karpenter/karpenter",
)
_ROLES = ("kubernetes:rbac.authorization.k8s.io/v1:Role", "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole")


def _metadata(props: Properties) -> Mapping[str, Any]:
    found: Mapping[str, Any] = props.get("metadata", {})
    return found


def restricted(props: Properties) -> str | None:
    """The label that makes the API server refuse what is not restricted; charts' own pods too."""
    labels = _metadata(props).get("labels") or {}
    value = labels.get(_ENFORCE)
    return None if value == "restricted" else f"metadata.labels {_ENFORCE} is {value!r}, it must be restricted"


def escalating(props: Properties) -> str | None:
    """Rights that give more rights."""
    for number, one in enumerate(("rules" in props and props["rules"]) or ()):
        verbs, resources = set(one.get("verbs") or ()), set(one.get("resources") or ())
        if verbs & {"bind", "escalate", "impersonate", "approve"}:
            return f"rules[{number}].verbs has bind, escalate, impersonate or approve, it must not"
        if verbs & _WRITES and any("webhookconfigurations" in each for each in resources):
            return f"rules[{number}] writes admission webhooks, it must not"
    return None


def reaching_in(props: Properties) -> str | None:
    """Rights that reach into pods, nodes, or every secret."""
    for number, one in enumerate(("rules" in props and props["rules"]) or ()):
        resources = set(one.get("resources") or ())
        if wrong := resources & {"pods/exec", "pods/attach", "nodes/proxy"}:
            return f"rules[{number}].resources has {sorted(wrong)[0]}, it must not"
        if "secrets" in resources and not one.get("resourceNames") and props.get("kind") == "ClusterRole":
            return f"rules[{number}] reads every Secret, it must name them"
    return None


def own_subjects(props: Properties) -> str | None:
    """The account that every pod without one has."""
    for number, one in enumerate(("subjects" in props and props["subjects"]) or ()):
        if one.get("kind") == "ServiceAccount" and one.get("name") == "default":
            return f"subjects[{number}].name is 'default', it must be an account of its own"
    return None


def no_snippets(props: Properties) -> str | None:
    """Snippets are configuration of the controller, written by whoever may write an Ingress."""
    annotations: Mapping[str, Any] = _metadata(props).get("annotations") or {}
    found = [name for name in annotations if name.endswith("-snippet")]
    return f"metadata.annotations has {found[0]}, it must not" if found else None


def stays_inside(props: Properties) -> str | None:
    """A LoadBalancer is public unless it says internal."""
    kind = first(props, "spec.type")
    if kind == "NodePort":
        return "spec.type is 'NodePort', it must be ClusterIP"
    annotations = _metadata(props).get("annotations") or {}
    internal = annotations.get("service.beta.kubernetes.io/aws-load-balancer-scheme") == "internal"
    return (
        "spec.type is 'LoadBalancer' and its scheme is not internal, it must be"
        if kind == "LoadBalancer" and not internal
        else None
    )


def _labels(workload: Any) -> Mapping[str, Any]:
    for path in ("spec.jobTemplate.spec.template.metadata.labels", "spec.template.metadata.labels", "metadata.labels"):
        found = known(workload, path, {})
        if isinstance(found, Mapping):
            return found
    return {}


def _selects(selector: Any, labels: Mapping[str, Any]) -> bool:
    wanted = (selector.get("matchLabels") if "matchLabels" in selector else None) or {}
    expressions = selector.get("matchExpressions") if "matchExpressions" in selector else None
    return bool(expressions) or all(labels.get(key) == wanted[key] for key in wanted)


def _namespace(one: Any) -> Any:
    return known(one, "metadata.namespace", "?")


def budgeted(resources: Resources) -> dict[str, str]:
    """Each service has a budget that lets one pod go and not all."""
    budgets = of(resources, _BUDGET)
    wrong = {}
    for one in of(resources, _DEPLOYMENT, _STATEFUL):
        labels = _labels(one)
        if not any(_selects(known(budget, "spec.selector", {}) or {}, labels) for budget in budgets):
            wrong[one.urn] = f"{one.name}: no PodDisruptionBudget selects it, one must"
    return wrong


def guarded(resources: Resources) -> dict[str, str]:
    """Each namespace with workloads denies what no policy allows."""
    closed = {
        _namespace(one)
        for one in of(resources, _NETWORK_POLICY)
        if not (known(one, "spec.podSelector", {}) or {})
        and set(known(one, "spec.policyTypes", ()) or ()) == {"Ingress", "Egress"}
    }
    return {
        one.urn: f"{one.name}: its namespace has no policy that denies all, it must"
        for one in of(resources, *TYPES)
        if _namespace(one) not in closed
    }


def selecting(resources: Resources) -> dict[str, str]:
    """A selector with a typing mistake selects nothing, silently."""
    templates = [
        _labels(one) for one in of(resources, *RUN_ON, "kubernetes:batch/v1:Job", "kubernetes:batch/v1:CronJob")
    ]
    wrong = {}
    for one in of(resources, _SERVICE):
        selector = known(one, "spec.selector", None)
        if isinstance(selector, Mapping) and not any(
            all(each.get(key) == selector[key] for key in selector) for each in templates
        ):
            wrong[one.urn] = f"{one.name}: spec.selector selects no pod, it must select one"
    for one in of(resources, _NETWORK_POLICY):
        selector = known(one, "spec.podSelector", {}) or {}
        if not any(_selects(selector, each) for each in templates):
            wrong[one.urn] = f"{one.name}: spec.podSelector selects no pod, it must select one"
    return wrong


def scaling(resources: Resources) -> dict[str, str]:
    """What a scaler names is there."""
    names = {known(one, "metadata.name", "?") for one in of(resources, _DEPLOYMENT, _STATEFUL)}
    return {
        one.urn: f"{one.name}: spec.scaleTargetRef.name is {known(one, 'spec.scaleTargetRef.name')!r}, it must exist"
        for one in of(resources, _SCALER)
        if "?" not in names and known(one, "spec.scaleTargetRef.name", "?") not in {*names, "?"}
    }


def _role(**right: Any) -> dict[str, Any]:
    return {"kind": "ClusterRole", "rules": [{"apiGroups": [""], **right}]}


RULES = [
    rule("no-removed-api", "KSCORE api", never("of an API version that the cluster no longer serves"), types=_REMOVED),
    rule(
        "namespace-restricted",
        "PSS namespace-labels",
        Judged(
            path="metadata",
            judge=restricted,
            good={"metadata": {"labels": {_ENFORCE: "restricted"}}},
            bad=({"metadata": {"labels": {_ENFORCE: "baseline"}}},),
            remedy=f"Label it {_ENFORCE}: restricted",
            absent_is_fine=False,
        ),
    ),
    rule("namespace-chosen", "CKV CKV_K8S_21", none_of("metadata.namespace", "default", absent_is_fine=False)),
    rule("rights-name-verbs", "CKV CKV_K8S_49", none_of("rules[].verbs[]", "*"), types=_ROLES),
    rule("rights-name-resources", "CKV CKV_K8S_49", none_of("rules[].resources[]", "*"), types=_ROLES),
    rule(
        "rights-do-not-grow",
        "CKV CKV_K8S_155-158",
        Judged(
            path="rules",
            judge=escalating,
            good=_role(verbs=["get"], resources=["pods"]),
            bad=(_role(verbs=["escalate"], resources=["roles"]),),
            remedy="Remove the right",
        ),
    ),
    rule(
        "rights-stay-out-of-pods",
        "CKV CKV2_K8S_2/3/5",
        Judged(
            path="rules",
            judge=reaching_in,
            good=_role(verbs=["get"], resources=["pods"]),
            bad=(_role(verbs=["create"], resources=["pods/exec"]),),
            remedy="Remove the right",
        ),
    ),
    rule(
        "rights-of-own-accounts",
        "CKV CKV_K8S_41/42",
        Judged(
            path="subjects",
            judge=own_subjects,
            good={"subjects": [{"kind": "ServiceAccount", "name": "booking"}]},
            bad=({"subjects": [{"kind": "ServiceAccount", "name": "default"}]},),
            remedy="Bind an account of its own",
        ),
        types=(
            "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding",
            "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding",
        ),
    ),
    rule("no-cluster-admin", "NSA C-0035", none_of("roleRef.name", "cluster-admin")),
    rule(
        "no-snippets",
        "CKV CKV_K8S_152-154",
        Judged(
            path="metadata",
            judge=no_snippets,
            good={"metadata": {"annotations": {"a": "b"}}},
            remedy="Remove the snippet",
            bad=({"metadata": {"annotations": {"nginx.ingress.kubernetes.io/server-snippet": "x"}}},),
        ),
    ),
    rule(
        "service-stays-inside",
        "KSCORE service-type",
        Judged(
            path="spec",
            judge=stays_inside,
            good={"spec": {"type": "ClusterIP"}},
            bad=({"spec": {"type": "NodePort"}},),
            remedy="Use ClusterIP behind the load balancer",
        ),
    ),
    rule("replicas-two", "KSCORE replicas", at_least("spec.replicas", 2).optional(), resilience=True),
    rule("scaler-two", "KSCORE hpa", at_least("spec.minReplicas", 2), resilience=True),
    rule("job-ends-in-time", "KSCORE cronjob", none_of("spec.concurrencyPolicy", "Allow", absent_is_fine=False)),
    rule("chart-known", "HOUSE HELM", one_of("chart", *_CHARTS)),
    rule(
        "chart-pinned", "HOUSE HELM", matching("version", r"^v?\d+\.\d+\.\d+", "1.2.3", ">1", wanted="an exact version")
    ),
    stack_rule(
        "pods-budgeted",
        "KSCORE pdb",
        budgeted,
        types=(_DEPLOYMENT, _STATEFUL, _BUDGET),
        resilience=True,
        remedy="Declare a PodDisruptionBudget for it",
    ),
    stack_rule(
        "pods-guarded",
        "CKV CKV2_K8S_6",
        guarded,
        types=(*TYPES, _NETWORK_POLICY),
        remedy="Deny all in the namespace, and allow what is needed",
    ),
    stack_rule(
        "selectors-select",
        "KSCORE selector",
        selecting,
        types=(*TYPES, _SERVICE, _NETWORK_POLICY),
        remedy="Let the selector match the labels of pods",
    ),
    stack_rule(
        "scaler-has-target",
        "KSCORE hpa",
        scaling,
        types=(_SCALER, _DEPLOYMENT, _STATEFUL),
        remedy="Name a workload that exists",
    ),
]
