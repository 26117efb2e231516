"""The operators that workloads rely on, each a Helm release pinned by version: one table, `CHARTS`.

They run restricted, with two replicas in production, in a namespace of their own. Whoever calls AWS has a role for what
it calls here: the load balancer controller registers pods in target groups that the stack made and cannot make a load
balancer, so that none is left behind; KEDA reads the length of this environment's queues; Alertmanager tells the person
on call. The others have no role. Their values and policies are pure functions (components/operator_values.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components import operator_values as of
from components.context import Context, Place
from components.pod_identity import pod_identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One release. ``service_account`` gets ``policy``; both or neither."""

    version: str
    repository: str
    values: Callable[[of.Site], of.Values]
    service_account: str | None = None
    policy: Callable[[Place], str] | None = None

    def __post_init__(self) -> None:
        if (self.service_account is None) != (self.policy is None):
            raise ValueError(
                f"service_account is {self.service_account!r} and policy {self.policy!r}; a role is for a service "
                "account and allows something: give both, or neither"
            )


# Chart versions, in the order in which their projects are usually installed.
CHARTS: Mapping[str, Chart] = {
    "cert-manager": Chart(version="v1.21.2", repository="https://charts.jetstack.io", values=of.cert_manager),
    "metrics-server": Chart(
        version="3.13.0", repository="https://kubernetes-sigs.github.io/metrics-server", values=of.metrics_server
    ),
    "aws-load-balancer-controller": Chart(
        version="1.14.0",
        repository="https://aws.github.io/eks-charts",
        values=of.load_balancer_controller,
        service_account="aws-load-balancer-controller",
        policy=of.targets_policy,
    ),
    "keda": Chart(
        version="2.20.2",
        repository="https://kedacore.github.io/charts",
        values=of.keda,
        service_account="keda-operator",
        policy=of.queue_lengths_policy,
    ),
    "argo-rollouts": Chart(
        version="2.40.5", repository="https://argoproj.github.io/argo-helm", values=of.argo_rollouts
    ),
    "kube-prometheus-stack": Chart(
        version="77.5.0",
        repository="https://prometheus-community.github.io/helm-charts",
        values=of.prometheus_stack,
        service_account=of.ALERTMANAGER,
        policy=of.alerting_policy,
    ),
    "reloader": Chart(version="2.2.11", repository="https://stakater.github.io/stakater-charts", values=of.reloader),
}


class Operators(pulumi.ComponentResource):
    """Every release of `CHARTS`, each with its role where it has one."""

    def __init__(
        self,
        name: str,
        site: of.Site,
        *,
        context: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("platform:cluster:Operators", name, None, opts)
        self._site, self._context = site, context
        for chart, pinned in CHARTS.items():
            self._release(chart, pinned)
        self.register_outputs({})

    def _release(self, name: str, chart: Chart) -> None:
        k8s.helm.v3.Release(
            name,
            name=name,
            chart=name,
            version=chart.version,
            namespace=name,
            create_namespace=True,
            # All of it is there, or none: a half release is undone.
            atomic=True,
            timeout=600,
            repository_opts=k8s.helm.v3.RepositoryOptsArgs(repo=chart.repository),
            values=chart.values(self._site),
            opts=pulumi.ResourceOptions(parent=self, depends_on=self._identity(name, chart)),
        )

    def _identity(self, name: str, chart: Chart) -> list[pulumi.Resource]:
        context, policy = self._context, chart.policy
        if chart.service_account is None or policy is None:
            return []
        return pod_identity(
            name,
            cluster_name=self._site.cluster_name,
            namespace=name,
            service_account=chart.service_account,
            policy=context.place.apply(policy),
            context=context,
            opts=pulumi.ResourceOptions(parent=self),
        ).ready
