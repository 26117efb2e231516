"""What pods may do in AWS: a role that one service account of one cluster gets through EKS Pod Identity.

It refuses nothing itself; its point is that there is one place where a pod gets a role. No long-lived key and no OIDC
provider is involved, and a pod never falls back to its node's role, which is out of its reach.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_aws import eks
from pulumi_aws import iam as aws_iam

from components import iam
from components.context import Context

# Where a pod asks for its credentials: the agent on its node (Amazon EKS User Guide, "How EKS Pod Identity works").
AGENT_CIDR, AGENT_PORT = "169.254.170.23/32", 80


@dataclass(frozen=True, slots=True, kw_only=True)
class PodIdentity:
    """The role, and what must exist before the first pod starts: a pod gets its identity when it starts."""

    role: aws_iam.Role
    ready: list[pulumi.Resource]


def pod_identity(
    name: str,
    *,
    cluster_name: pulumi.Input[str],
    namespace: pulumi.Input[str],
    service_account: str,
    policy: pulumi.Input[str] | None,
    context: Context,
    opts: pulumi.ResourceOptions,
) -> PodIdentity:
    """A role with ``policy`` for ``service_account``; without a policy, others attach what they grant."""
    role = aws_iam.Role(
        name,
        assume_role_policy=iam.trust("pods.eks.amazonaws.com", actions=("sts:AssumeRole", "sts:TagSession")),
        tags=context.tags(name),
        opts=opts,
    )
    ready: list[pulumi.Resource] = []
    if policy is not None:
        ready.append(aws_iam.RolePolicy(name, role=role.id, policy=policy, opts=opts))
    ready.append(
        eks.PodIdentityAssociation(
            name,
            cluster_name=cluster_name,
            namespace=namespace,
            service_account=service_account,
            role_arn=role.arn,
            tags=context.tags(name),
            opts=opts,
        )
    )
    return PodIdentity(role=role, ready=ready)
