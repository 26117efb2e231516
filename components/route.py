"""A way from the load balancer to software on the cluster: some paths, of one host if need be, and nothing but them.

What is not named stays inside: of Keycloak, the world sees the pages on which people sign in, and not its
administration. It refuses a path that would lead everything there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import pulumi
import pulumi_kubernetes as k8s
from pulumi_aws import lb

from components import pod
from components.canary import without_prefix
from components.context import Context

# A rule has five values at most in all its conditions (Application Load Balancer Guide, "Quotas").
_MOST_PATHS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteArgs:
    """``service`` is the Kubernetes Service, ``alive`` a path that answers 200 when it can be used.

    With ``host``, requests for it alone; ``prefix`` is taken off a path before a pod sees it.
    """

    paths: Sequence[str]
    priority: int
    service: str
    port: int
    alive: str
    namespace: pulumi.Input[str]
    vpc_id: pulumi.Input[str]
    listener_arn: pulumi.Input[str]
    host: pulumi.Input[str] | None = None
    prefix: str = ""

    def __post_init__(self) -> None:
        if not 1 <= len(self.paths) <= _MOST_PATHS:
            raise ValueError(f"paths are {list(self.paths)}; a rule of a load balancer takes 1 to {_MOST_PATHS}")
        for path in self.paths:
            if not path.startswith("/") or not path.strip("/*"):
                raise ValueError(
                    f"paths has {path!r}; it would lead everything to {self.service}: name a folder, like /realms/*"
                )


class Route(pulumi.ComponentResource):
    """A listener rule, its target group, and the binding that keeps pods in it."""

    def __init__(
        self, name: str, args: RouteArgs, *, context: Context, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("platform:edge:Route", name, None, opts)
        child, tags = pulumi.ResourceOptions(parent=self), context.tags(name)
        group = lb.TargetGroup(
            name,
            vpc_id=args.vpc_id,
            target_type="ip",
            port=args.port,
            protocol="HTTP",
            deregistration_delay=pod.GRACE,
            health_check=lb.TargetGroupHealthCheckArgs(
                path=args.alive, protocol="HTTP", interval=10, timeout=5, healthy_threshold=2, unhealthy_threshold=3
            ),
            tags=tags,
            opts=child,
        )
        lb.ListenerRule(
            name,
            listener_arn=args.listener_arn,
            priority=args.priority,
            conditions=_conditions(args),
            transforms=cast(Any, without_prefix(args.prefix)) if args.prefix else None,
            actions=[lb.ListenerRuleActionArgs(type="forward", target_group_arn=group.arn)],
            tags=tags,
            opts=child,
        )
        k8s.apiextensions.CustomResource(
            f"{name}-binding",
            api_version="elbv2.k8s.aws/v1beta1",
            kind="TargetGroupBinding",
            metadata=k8s.meta.v1.ObjectMetaArgs(name=name, namespace=args.namespace),
            spec={
                "targetGroupARN": group.arn,
                "targetType": "ip",
                "serviceRef": {"name": args.service, "port": args.port},
            },
            opts=child,
        )
        self.register_outputs({})


def _conditions(args: RouteArgs) -> Any:
    found: list[dict[str, Any]] = [{"path_pattern": {"values": list(args.paths)}}]
    if args.host is not None:
        found.append({"host_header": {"values": [args.host]}})
    return cast(Any, found)
