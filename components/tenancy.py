"""The namespace in which an environment's services run: restricted pods, and no traffic that was not asked for."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s

from components.pod import API_PORT

# TCP ports outside the namespace: PostgreSQL, AMQP and Redis in the data tier, HTTPS to AWS, Stripe and Novu.
_EGRESS_PORTS = (5432, 5671, 6379, 443)
_DNS_PORT = 53
_LEVEL = "restricted"


class Namespace(pulumi.ComponentResource):
    """A namespace under Pod Security *restricted*, closed by default in both directions."""

    name: pulumi.Output[str]

    def __init__(self, name: str, *, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:workload:Namespace", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        namespace = k8s.core.v1.Namespace(
            name,
            metadata=k8s.meta.v1.ObjectMetaArgs(
                name=name,
                labels={f"pod-security.kubernetes.io/{mode}": _LEVEL for mode in ("enforce", "audit", "warn")},
            ),
            opts=child,
        )
        self.name = namespace.metadata.name.apply(lambda found: found or name)
        everyone = k8s.meta.v1.LabelSelectorArgs()
        net = k8s.networking.v1
        self._allow(
            "default-deny",
            net.NetworkPolicySpecArgs(pod_selector=everyone, policy_types=["Ingress", "Egress"]),
            child,
        )
        self._allow(
            "api-within",
            net.NetworkPolicySpecArgs(
                pod_selector=everyone,
                policy_types=["Ingress", "Egress"],
                ingress=[
                    net.NetworkPolicyIngressRuleArgs(
                        from_=[net.NetworkPolicyPeerArgs(pod_selector=everyone)], ports=[_tcp(API_PORT)]
                    )
                ],
                egress=[
                    net.NetworkPolicyEgressRuleArgs(
                        to=[net.NetworkPolicyPeerArgs(pod_selector=everyone)], ports=[_tcp(API_PORT)]
                    )
                ],
            ),
            child,
        )
        self._allow(
            "outside",
            net.NetworkPolicySpecArgs(
                pod_selector=everyone,
                policy_types=["Egress"],
                egress=[
                    net.NetworkPolicyEgressRuleArgs(ports=[_tcp(port) for port in _EGRESS_PORTS]),
                    net.NetworkPolicyEgressRuleArgs(
                        ports=[net.NetworkPolicyPortArgs(protocol="UDP", port=_DNS_PORT), _tcp(_DNS_PORT)]
                    ),
                ],
            ),
            child,
        )
        self.register_outputs({"name": self.name})

    def _allow(self, role: str, spec: k8s.networking.v1.NetworkPolicySpecArgs, child: pulumi.ResourceOptions) -> None:
        k8s.networking.v1.NetworkPolicy(
            role,
            metadata=k8s.meta.v1.ObjectMetaArgs(name=role, namespace=self.name),
            spec=spec,
            opts=child,
        )


def _tcp(port: int) -> k8s.networking.v1.NetworkPolicyPortArgs:
    return k8s.networking.v1.NetworkPolicyPortArgs(protocol="TCP", port=port)
