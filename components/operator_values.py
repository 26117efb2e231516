"""The values of the operators' Helm charts, and what they may do in AWS: pure functions, checked without a cluster.

Pods are restricted and bounded. What a chart would do on its own that the stack does (load balancers, ingress classes)
is switched off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from components import iam
from components.context import Place
from components.severity import Severity

Values = dict[str, Any]
# The Kubernetes documentation, "Pod Security Standards": what *restricted* asks of a pod and of its containers.
_POD_SECURITY = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
_CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
# EKS runs these itself and shows no metrics of them.
_OF_EKS = ("kubeControllerManager", "kubeScheduler", "kubeEtcd", "kubeProxy")
# Burn rates look back three days at most.
_METRICS_KEPT = "5d"
DASHBOARD_LABEL = "grafana_dashboard"
ALERTMANAGER = "alertmanager"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What values are made of."""

    cluster_name: pulumi.Input[str]
    vpc_id: pulumi.Input[str]
    region: str
    production: bool
    alarm_topics: Mapping[str, pulumi.Input[str]]

    @property
    def replicas(self) -> int:
        return 2 if self.production else 1


def resources(cpu: str, memory: str) -> Values:
    """Memory is bounded by what is requested; processor time is not, it is only shared."""
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": memory}}


def load_balancer_controller(site: Site) -> Values:
    """It binds pods to target groups and does nothing else: no ingress class, no Service turned into a balancer."""
    return {
        "clusterName": site.cluster_name,
        # Said here, or it asks the metadata service, which pods cannot reach.
        "region": site.region,
        "vpcId": site.vpc_id,
        "replicaCount": site.replicas,
        "createIngressClassResource": False,
        "ingressClassParams": {"create": False},
        "enableServiceMutatorWebhook": False,
        "enableShield": False,
        "enableWaf": False,
        "enableWafv2": False,
        "podSecurityContext": {**_POD_SECURITY, "fsGroup": 65534},
        "securityContext": {**_CONTAINER_SECURITY, "runAsNonRoot": True},
        "resources": resources("50m", "256Mi"),
    }


def cert_manager(site: Site) -> Values:
    """Certificates between parts of the cluster; removing the release keeps what it issued."""
    part = {
        "resources": resources("20m", "128Mi"),
        "securityContext": _POD_SECURITY,
        "containerSecurityContext": _CONTAINER_SECURITY,
    }
    return {
        **part,
        "replicaCount": site.replicas,
        "crds": {"enabled": True, "keep": False},
        "webhook": {**part, "replicaCount": site.replicas},
        "cainjector": {**part, "replicaCount": site.replicas},
    }


def metrics_server(site: Site) -> Values:
    """What HorizontalPodAutoscalers read."""
    return {
        "replicas": site.replicas,
        "podDisruptionBudget": {"enabled": site.production, "minAvailable": 1},
        "securityContext": {**_CONTAINER_SECURITY, **_POD_SECURITY, "runAsUser": 1000},
        "resources": resources("100m", "200Mi"),
    }


def keda(site: Site) -> Values:
    """What ScaledObjects need. Who it is in AWS comes from Pod Identity, so the chart sets up no identity."""
    return {
        "operator": {"replicaCount": site.replicas},
        "webhooks": {"replicaCount": site.replicas, "failurePolicy": "Fail"},
        "podSecurityContext": dict.fromkeys(("operator", "metricServer", "webhooks"), _POD_SECURITY),
        "securityContext": dict.fromkeys(("operator", "metricServer", "webhooks"), _CONTAINER_SECURITY),
        "resources": {
            "operator": resources("100m", "256Mi"),
            "metricServer": resources("50m", "128Mi"),
            "webhooks": resources("20m", "64Mi"),
        },
        "prometheus": {"operator": {"enabled": True}},
    }


def argo_rollouts(site: Site) -> Values:
    """Canaries inside the cluster; no dashboard: people look at Grafana."""
    return {
        "installCRDs": True,
        "keepCRDs": False,
        "dashboard": {"enabled": False},
        "controller": {
            "replicas": site.replicas,
            "resources": resources("50m", "256Mi"),
            "containerSecurityContext": {**_CONTAINER_SECURITY, **_POD_SECURITY},
            "metrics": {"enabled": True},
        },
    }


def prometheus_stack(site: Site) -> Values:
    """Prometheus, Alertmanager and Grafana, which take rules and dashboards from every namespace of the platform."""
    every = {f"{kind}SelectorNilUsesHelmValues": False for kind in ("rule", "serviceMonitor", "podMonitor")}
    return {
        **{part: {"enabled": False} for part in _OF_EKS},
        "prometheus": {
            "prometheusSpec": {
                **every,
                "replicas": site.replicas,
                "retention": _METRICS_KEPT,
                "resources": resources("250m", "2Gi" if site.production else "1Gi"),
            }
        },
        "alertmanager": {
            "serviceAccount": {"name": ALERTMANAGER},
            "alertmanagerSpec": {"replicas": site.replicas, "resources": resources("20m", "64Mi")},
            "config": alerting(site),
        },
        "prometheusOperator": {"resources": resources("50m", "128Mi")},
        "grafana": {
            "replicas": 1,
            "resources": resources("50m", "256Mi"),
            "defaultDashboardsEnabled": False,
            # Nobody signs in from outside; dashboards are ConfigMaps with this label, of any namespace.
            "ingress": {"enabled": False},
            "sidecar": {"dashboards": {"enabled": True, "label": DASHBOARD_LABEL, "searchNamespace": "ALL"}},
        },
    }


def alerting(site: Site) -> Values:
    """Alerts go where CloudWatch's alarms go, one message an objective and severity; a page hides its ticket."""
    told = "{{ .CommonAnnotations.summary }} Runbook: {{ .CommonAnnotations.runbook_url }}"
    return {
        "route": {
            "receiver": Severity.TICKET,
            "group_by": ["alertname", "slo", "severity"],
            "group_wait": "30s",
            "group_interval": "5m",
            "repeat_interval": "4h",
            # It fires always, for whoever watches that Prometheus lives.
            "routes": [
                {"receiver": "nobody", "matchers": ['alertname =~ "Watchdog|InfoInhibitor"']},
                {"receiver": Severity.PAGE, "matchers": [f'severity = "{Severity.PAGE}"']},
            ],
        },
        "inhibit_rules": [
            {
                # Two that have no objective would have the same.
                "source_matchers": ['severity = "page"', 'slo != ""'],
                "target_matchers": ['severity = "ticket"'],
                "equal": ["slo"],
            }
        ],
        "receivers": [
            {"name": "nobody"},
            *(
                {
                    "name": severity,
                    "sns_configs": [
                        {
                            "topic_arn": topic,
                            "sigv4": {"region": site.region},
                            "send_resolved": True,
                            "subject": "{{ .Status }}: {{ .CommonLabels.alertname }} {{ .CommonLabels.slo }}",
                            "message": told,
                        }
                    ],
                }
                for severity, topic in site.alarm_topics.items()
            ),
        ],
    }


def reloader(site: Site) -> Values:
    """Restarts Deployments that ask for it (an annotation) when a Secret that they read changes."""
    return {
        "reloader": {
            "autoReloadAll": False,
            "enableHA": site.production,
            "reloadStrategy": "annotations",
            "readOnlyRootFileSystem": True,
            "deployment": {
                "replicas": site.replicas,
                "resources": resources("10m", "128Mi"),
                "containerSecurityContext": _CONTAINER_SECURITY,
                "securityContext": {**_POD_SECURITY, "runAsUser": 65534},
            },
        }
    }


def targets_policy(place: Place) -> str:
    """Register pods in this environment's target groups. Describing knows no resources (Service Authorization
    Reference, "Elastic Load Balancing V2" and "Amazon EC2").
    """
    described = ("TargetGroups", "TargetGroupAttributes", "TargetHealth", "LoadBalancers", "Tags")
    seen = ("AvailabilityZones", "Instances", "NetworkInterfaces", "SecurityGroups", "Subnets", "Vpcs")
    return iam.document(
        iam.allow(
            (
                *(f"elasticloadbalancing:Describe{what}" for what in described),
                *(f"ec2:Describe{what}" for what in seen),
            ),
            ("*",),
        ),
        iam.allow(
            ("elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets"),
            (place.arn("elasticloadbalancing", "targetgroup/*/*"),),
            condition=place.tagged,
        ),
    )


def queue_lengths_policy(place: Place) -> str:
    """See how long this environment's queues are, never a message (SQS and tags: SQS Developer Guide, "ABAC")."""
    return iam.document(
        iam.allow(("sqs:GetQueueAttributes",), (place.arn("sqs", "*"),), condition=place.tagged),
    )


def alerting_policy(place: Place) -> str:
    """Publish to this environment's topic, which is encrypted (SNS Developer Guide, "Key management")."""
    return iam.document(
        iam.allow(("sns:Publish",), (place.arn("sns", "*"),), condition=place.tagged),
        iam.allow(
            ("kms:Decrypt", "kms:GenerateDataKey"),
            (place.arn("kms", "key/*"),),
            condition={
                "StringEquals": {
                    **place.tagged["StringEquals"],
                    "kms:ViaService": f"sns.{place.region}.amazonaws.com",
                }
            },
        ),
    )
