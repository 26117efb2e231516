"""The namespace in which an environment's services run: restricted pods, a quota, and no unasked traffic.

It refuses nothing itself; the API server does, in its name: a pod that Pod Security *restricted* does not allow, one
that would exceed the quota, one without limits. Who may talk to whom is each workload's own rule (components/reach.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

_DNS_PORT = 53
_LEVEL = "restricted"
# Above the default of 0, below what Kubernetes keeps for itself (Kubernetes documentation, "Pod Priority and
# Preemption": user classes are at most 1,000,000,000).
_PRIORITIES = {
    "serving": (1_000_000, "Answers buyers' requests: the last to be pushed out"),
    "background": (100_000, "Works off queues: waits when a sale needs its place"),
}
SERVING, BACKGROUND = _PRIORITIES


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """The most that all pods of the namespace may request together; what goes beyond is refused, not squeezed in."""

    pods: int
    cpu: int
    memory_gib: int

    def __post_init__(self) -> None:
        for name in ("pods", "cpu", "memory_gib"):
            if (value := getattr(self, name)) < 1:
                raise ValueError(f"quota.{name} is {value}; a namespace that may run nothing is a mistake: 1 or more")


class Namespace(pulumi.ComponentResource):
    """A namespace under Pod Security *restricted*, closed by default in both directions, and its priorities."""

    name: pulumi.Output[str]

    def __init__(
        self, name: str, quota: Quota, *, priorities: bool = True, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """``priorities`` are the cluster's: its first namespace makes them, the others use them."""
        super().__init__("platform:workload:Namespace", name, None, opts)
        self._child = child = pulumi.ResourceOptions(parent=self)
        namespace = k8s.core.v1.Namespace(
            name,
            metadata=k8s.meta.v1.ObjectMetaArgs(
                name=name,
                labels={f"pod-security.kubernetes.io/{mode}": _LEVEL for mode in ("enforce", "audit", "warn")},
            ),
            opts=child,
        )
        self.name = namespace.metadata.name.apply(lambda found: found or name)
        for role, (value, about) in _PRIORITIES.items() if priorities else ():
            k8s.scheduling.v1.PriorityClass(
                role,
                metadata=k8s.meta.v1.ObjectMetaArgs(name=role),
                value=value,
                description=about,
                # A sale's pods may wait for a node; they never end another pod's work in the midst of it.
                preemption_policy="PreemptLowerPriority" if role == SERVING else "Never",
                opts=child,
            )
        self._bound(quota)
        net = k8s.networking.v1
        everyone = k8s.meta.v1.LabelSelectorArgs()
        self._allow(
            "default-deny", net.NetworkPolicySpecArgs(pod_selector=everyone, policy_types=["Ingress", "Egress"])
        )
        # Each workload says who may call it; asking is open to all, or every pair would be named twice.
        self._allow(
            "within",
            net.NetworkPolicySpecArgs(
                pod_selector=everyone,
                policy_types=["Egress"],
                egress=[net.NetworkPolicyEgressRuleArgs(to=[net.NetworkPolicyPeerArgs(pod_selector=everyone)])],
            ),
        )
        self._allow(
            "names",
            net.NetworkPolicySpecArgs(
                pod_selector=everyone,
                policy_types=["Egress"],
                egress=[
                    net.NetworkPolicyEgressRuleArgs(
                        ports=[
                            net.NetworkPolicyPortArgs(protocol=protocol, port=_DNS_PORT) for protocol in ("UDP", "TCP")
                        ]
                    )
                ],
            ),
        )
        self.register_outputs({"name": self.name})

    def _bound(self, quota: Quota) -> None:
        k8s.core.v1.ResourceQuota(
            "quota",
            metadata=k8s.meta.v1.ObjectMetaArgs(name="quota", namespace=self.name),
            spec=k8s.core.v1.ResourceQuotaSpecArgs(
                hard={
                    "pods": str(quota.pods),
                    "requests.cpu": str(quota.cpu),
                    "requests.memory": f"{quota.memory_gib}Gi",
                    # Traffic comes in through the edge; nobody opens a way of their own.
                    "services.loadbalancers": "0",
                    "services.nodeports": "0",
                }
            ),
            opts=self._child,
        )
        k8s.core.v1.LimitRange(
            "limits",
            metadata=k8s.meta.v1.ObjectMetaArgs(name="limits", namespace=self.name),
            spec=k8s.core.v1.LimitRangeSpecArgs(
                limits=[
                    k8s.core.v1.LimitRangeItemArgs(
                        type="Container",
                        default_request={"cpu": "50m", "memory": "128Mi"},
                        default={"memory": "256Mi", "ephemeral-storage": "256Mi"},
                    )
                ]
            ),
            opts=self._child,
        )

    def _allow(self, role: str, spec: k8s.networking.v1.NetworkPolicySpecArgs) -> None:
        k8s.networking.v1.NetworkPolicy(
            role,
            metadata=k8s.meta.v1.ObjectMetaArgs(name=role, namespace=self.name),
            spec=spec,
            opts=self._child,
        )
