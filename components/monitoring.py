"""What Prometheus and Grafana are told about the services: whom to ask, which rules to keep, what to draw.

It owns the PodMonitor, which finds every process of the platform by its labels and asks its ``/metrics``; the network
rule that lets Prometheus, and nobody else, in; the rules of objectives and alerts; and their dashboard. Prometheus
itself comes with the operators.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components import pod, reach
from components.alert import Alert, groups
from components.grafana import objectives_dashboard
from components.operator_values import DASHBOARD_LABEL
from components.slo import Objective, rules

# The namespace of the release that brings Prometheus (components/operators.py).
_PROMETHEUS = "kube-prometheus-stack"
_EVERY = "30s"
_PART = {"app.kubernetes.io/part-of": "event-platform"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringArgs:
    """``runbooks`` is the address below which runbooks are read; alerts link to it."""

    namespace: pulumi.Input[str]
    objectives: Sequence[Objective]
    alerts: Sequence[Alert]
    runbooks: str

    def __post_init__(self) -> None:
        if not self.objectives:
            raise ValueError("objectives are none; without one, nobody is told when buyers fare badly: declare some")
        names = [each.name for each in self.objectives]
        if len(set(names)) != len(names):
            raise ValueError(f"objectives are named {', '.join(names)}; each needs a name of its own")
        named = [each.name for each in self.alerts]
        if len(set(named)) != len(named):
            raise ValueError(f"alerts are named {', '.join(named)}; each needs a name of its own")
        if not self.runbooks.startswith("https://"):
            raise ValueError(f"runbooks is {self.runbooks!r}; name where they are read, with https://")


class Monitoring(pulumi.ComponentResource):
    """A PodMonitor, its network rule, a PrometheusRule, and the objectives' Grafana dashboard."""

    def __init__(self, name: str, args: MonitoringArgs, *, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:observability:Monitoring", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)

        def meta(of: str, **labels: str) -> k8s.meta.v1.ObjectMetaArgs:
            return k8s.meta.v1.ObjectMetaArgs(name=of, namespace=args.namespace, labels={**_PART, **labels})

        k8s.apiextensions.CustomResource(
            f"{name}-pods",
            api_version="monitoring.coreos.com/v1",
            kind="PodMonitor",
            metadata=meta("services"),
            spec={
                "selector": {"matchLabels": _PART},
                # They become app_kubernetes_io_name and _component, by which objectives choose.
                "podTargetLabels": ["app.kubernetes.io/name", "app.kubernetes.io/component"],
                "podMetricsEndpoints": [{"port": "http", "path": "/metrics", "interval": _EVERY}],
            },
            opts=child,
        )
        net = k8s.networking.v1
        net.NetworkPolicy(
            f"{name}-scraping",
            metadata=meta("scraping"),
            spec=net.NetworkPolicySpecArgs(
                pod_selector=k8s.meta.v1.LabelSelectorArgs(match_labels=_PART),
                policy_types=["Ingress"],
                ingress=[
                    net.NetworkPolicyIngressRuleArgs(
                        from_=[reach.pods({"app.kubernetes.io/name": "prometheus"}, _PROMETHEUS)],
                        ports=[reach.tcp(pod.API_PORT)],
                    )
                ],
            ),
            opts=child,
        )
        k8s.apiextensions.CustomResource(
            f"{name}-rules",
            api_version="monitoring.coreos.com/v1",
            kind="PrometheusRule",
            metadata=meta("rules"),
            spec={
                "groups": [
                    *rules(args.objectives, runbooks=args.runbooks),
                    *groups(args.alerts, runbooks=args.runbooks),
                ]
            },
            opts=child,
        )
        k8s.core.v1.ConfigMap(
            f"{name}-dashboard",
            metadata=meta("objectives-dashboard", **{DASHBOARD_LABEL: "1"}),
            data={"objectives.json": json.dumps(objectives_dashboard(args.objectives), sort_keys=True)},
            opts=child,
        )
        self.register_outputs({})
