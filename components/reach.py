"""Whom the pods of a process may talk to, and who may talk to them; what is not named here is dropped.

The namespace denies everything; these rules open what one process needs. The ports of AWS's endpoints, of Stripe, Novu
and the mail server are open to any address, because theirs change; the data tier is open by its subnets, which do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, cast

import pulumi
import pulumi_kubernetes as k8s

from components import pod_identity

net = k8s.networking.v1
# The instance metadata service: a pod has no business there, and its hop limit says so too.
_METADATA = "169.254.169.254/32"


class Port(IntEnum):
    """TCP ports of what a process talks to."""

    HTTPS = 443
    SMTP = 587
    POSTGRES = 5432
    AMQPS = 5671
    REDIS = 6379


# What is spoken to outside, where addresses change; the rest is in the data tier.
_ANYWHERE = (Port.HTTPS, Port.SMTP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where the data tier is, and from where load balancers call."""

    data_cidrs: pulumi.Input[Sequence[str]]
    balancer_cidrs: pulumi.Input[Sequence[str]]


def allow(
    name: str,
    *,
    namespace: pulumi.Input[str],
    labels: Mapping[str, str],
    ports: Sequence[Port],
    surroundings: Surroundings,
    serves: int | None,
    callers: Sequence[Mapping[str, str]] = (),
    among: Sequence[int] = (),
    opts: pulumi.ResourceOptions,
) -> k8s.networking.v1.NetworkPolicy:
    """A rule for the pods with ``labels``: out to ``ports``; in, from load balancers and ``callers``, to ``serves``.

    ``among`` are ports on which these pods talk to each other.
    """
    data = [port for port in ports if port not in _ANYWHERE]
    anywhere = [port for port in ports if port in _ANYWHERE]
    egress = [
        net.NetworkPolicyEgressRuleArgs(to=[_block(pod_identity.AGENT_CIDR)], ports=[tcp(pod_identity.AGENT_PORT)])
    ]
    if data:
        egress.append(
            net.NetworkPolicyEgressRuleArgs(to=_blocks(surroundings.data_cidrs), ports=[tcp(port) for port in data])
        )
    if anywhere:
        egress.append(
            net.NetworkPolicyEgressRuleArgs(to=[_block("0.0.0.0/0", _METADATA)], ports=[tcp(port) for port in anywhere])
        )
    sources = _blocks(surroundings.balancer_cidrs, *(pods(caller) for caller in callers))
    ingress = [net.NetworkPolicyIngressRuleArgs(from_=sources, ports=[tcp(serves)])] if serves and sources != [] else []
    if among:
        ingress.append(net.NetworkPolicyIngressRuleArgs(from_=[pods(labels)], ports=[tcp(port) for port in among]))
    return net.NetworkPolicy(
        f"{name}-reach",
        metadata=k8s.meta.v1.ObjectMetaArgs(name=name, namespace=namespace, labels=dict(labels)),
        spec=net.NetworkPolicySpecArgs(
            pod_selector=k8s.meta.v1.LabelSelectorArgs(match_labels=dict(labels)),
            policy_types=["Ingress", "Egress"],
            ingress=ingress,
            egress=egress,
        ),
        opts=opts,
    )


def tcp(port: int) -> k8s.networking.v1.NetworkPolicyPortArgs:
    """A TCP port of a rule."""
    return net.NetworkPolicyPortArgs(protocol="TCP", port=int(port))


def pods(labels: Mapping[str, str], namespace: str | None = None) -> k8s.networking.v1.NetworkPolicyPeerArgs:
    """The pods with ``labels``: of the same namespace, or of the one named."""
    return net.NetworkPolicyPeerArgs(
        pod_selector=k8s.meta.v1.LabelSelectorArgs(match_labels=dict(labels)),
        namespace_selector=(
            k8s.meta.v1.LabelSelectorArgs(match_labels={"kubernetes.io/metadata.name": namespace})
            if namespace
            else None
        ),
    )


def _blocks(cidrs: pulumi.Input[Sequence[str]], *others: Any) -> Any:
    """Peers: blocks of addresses, which another stack may tell, and ``others``."""
    if isinstance(cidrs, pulumi.Output):
        return cidrs.apply(lambda known: [*(_block(cidr) for cidr in known), *others])
    return [*(_block(cidr) for cidr in cast("Sequence[str]", cidrs)), *others]


def _block(cidr: str, *but: str) -> k8s.networking.v1.NetworkPolicyPeerArgs:
    return net.NetworkPolicyPeerArgs(ip_block=net.IPBlockArgs(cidr=cidr, except_=list(but) or None))
