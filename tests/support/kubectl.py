"""What the commands of a document ask Kubernetes for."""

from __future__ import annotations

import re
from collections.abc import Iterator

# kubectl's words, and what it asks the API server for (Kubernetes documentation, "Authorization", "kubectl auth").
VERBS = {
    **{"get": "list", "describe": "list", "top": "list", "rollout history": "list", "rollout status": "list"},
    **{"rollout undo": "patch", "rollout restart": "patch", "patch": "patch", "label": "patch", "annotate": "patch"},
    **{"delete": "delete", "create": "create", "scale": "patch", "logs": "get", "run": "create", "wait": "watch"},
}
# `exec` is not among them: a policy keeps that right from everybody but administrators, and documents say so.
PODS = {"logs": "pods/log", "run": "pods"}
KINDS = {
    **dict.fromkeys(("deploy", "deployment", "deployments"), "deployments.apps"),
    **dict.fromkeys(("statefulset", "statefulsets"), "statefulsets.apps"),
    **dict.fromkeys(("pod", "pods"), "pods"),
    **dict.fromkeys(("pvc",), "persistentvolumeclaims"),
    **dict.fromkeys(("hpa",), "horizontalpodautoscalers.autoscaling"),
    **dict.fromkeys(("job", "jobs"), "jobs.batch"),
    **dict.fromkeys(("externalsecret", "externalsecrets"), "externalsecrets.external-secrets.io"),
    **dict.fromkeys(("nodeclaims", "nodepools"), "nodepools.karpenter.sh"),
    **dict.fromkeys(
        ("validatingwebhookconfigurations",), "validatingwebhookconfigurations.admissionregistration.k8s.io"
    ),
    "targetgroupbindings": "targetgroupbindings.elbv2.k8s.aws",
    "scaledobject": "scaledobjects.keda.sh",
    "nodes": "nodes",
}


def commands(document: str) -> Iterator[tuple[str, str]]:
    """Verb and resource of each kubectl command in a runbook. Raises KeyError for a word that nobody has looked up."""
    found = re.findall(r"kubectl (?:-n \S+ )?(rollout \w+|[a-z]+)\b(?: -\S+)*(?: ([a-z]+))?", document)
    for word, kind in found:
        if word == "exec":
            continue
        verb = VERBS[word]
        if word in PODS:
            yield verb, PODS[word]
        else:
            resource = KINDS[kind or "deploy"]
            name, _, group = resource.partition(".")
            yield verb, f"{name}/scale.{group}" if word == "scale" else resource
