"""A canary of one service: one ALB rule over two target groups that stay, and what takes it back.

The weights belong to whoever runs the canary. The stack makes the rule with everything on the stable side and never
looks at its actions again, so that a preview in mid-canary shows no difference, and an update does not end one. Before
the rule stand two that always lead to the canary, for those who ask for it by header or by cookie: also at a share of
nothing. Their priorities are explicit: three for each service, counted from ``priority``.

Pods come and go by TargetGroupBindings: the stable track is the service's own Service, the canary's are the pods that
carry its label. It refuses other than two tracks, and paths that the balancer would not understand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pulumi
import pulumi_kubernetes as k8s
from pulumi_aws import lb, ssm

from components import canary_alarms, pod, reach
from components.canary_rollout import CHOSEN, service
from components.canary_spec import CANARY, CanarySpec, shares
from components.context import Context

# Elastic Load Balancing API Reference, "CreateRule": priorities.
_PRIORITIES = range(1, 50_001)
RULES = 3
_PREFIX = re.compile(r"/[a-z0-9/-]{1,60}")
# A lease that has ended: nobody answers for a canary yet.
_NO_LEASE = '{"ended": "never started"}'


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryArgs:
    """``prefix`` is the path under which the service is reached; it is taken off before a pod sees it.

    ``labels`` are those of the stable pods; the canary's have another ``app.kubernetes.io/component``, and ``reaches``.
    """

    spec: CanarySpec
    vpc_id: pulumi.Input[str]
    listener_arn: pulumi.Input[str]
    balancer_arn_suffix: pulumi.Input[str]
    prefix: str
    priority: int
    namespace: pulumi.Input[str]
    labels: Mapping[str, str]
    reaches: Sequence[reach.Port]
    surroundings: reach.Surroundings

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix) or self.prefix.endswith("/"):
            raise ValueError(
                f"prefix is {self.prefix!r}; it starts with a slash and ends without one, like /api/booking"
            )
        if self.priority not in _PRIORITIES or self.priority + RULES - 1 not in _PRIORITIES:
            raise ValueError(
                f"priority is {self.priority}; a canary takes {RULES} in a row of {_PRIORITIES.start} to "
                f"{_PRIORITIES.stop - 1}: choose another"
            )


def forward(arns: Mapping[str, pulumi.Input[str]], weights: Mapping[str, int], sticky_seconds: int) -> dict[str, Any]:
    """The action over both groups. Raises ValueError for weights that are not those of the two tracks."""
    if set(weights) != set(arns) or len(arns) != 2:
        raise ValueError(
            f"weights are for {', '.join(sorted(weights))} and target groups {', '.join(sorted(arns))}; a canary has "
            "exactly two: give each its weight"
        )
    return {
        "type": "forward",
        "forward": {
            "target_groups": [{"arn": arns[track], "weight": weight} for track, weight in weights.items()],
            "stickiness": {"enabled": True, "duration": sticky_seconds},
        },
    }


def conditions(prefix: str, header: tuple[str, str] | None = None) -> list[dict[str, Any]]:
    """Requests below ``prefix``, and of them those whose header matches."""
    found: list[dict[str, Any]] = [{"path_pattern": {"values": [f"{prefix}/*"]}}]
    if header is not None:
        found.append({"http_header": {"http_header_name": header[0], "values": [header[1]]}})
    return found


def without_prefix(prefix: str) -> list[dict[str, Any]]:
    """A pod serves /holds, whatever the name under which the world finds it."""
    rewrite = {"regex": f"^{prefix}/(.*)$", "replace": "/$1"}
    return [{"type": "url-rewrite", "url_rewrite_config": {"rewrite": rewrite}}]


class Canary(pulumi.ComponentResource):
    """Two target groups with their bindings, three rules, the lease, and the alarms that end a canary."""

    rule_arn: pulumi.Output[str]
    target_group_arns: dict[str, pulumi.Output[str]]
    lease: pulumi.Output[str]
    alarm_arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: CanaryArgs, *, context: Context, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("platform:delivery:Canary", name, None, opts)
        self._name, self._args, self._context = name, args, context
        self._child = pulumi.ResourceOptions(parent=self)
        groups = {track: self._group(track) for track in args.spec.tracks}
        self.target_group_arns = {track: group.arn for track, group in groups.items()}
        self.rule_arn = self._rules().arn
        self._canary_service()
        for track, group in groups.items():
            self._bind(track, group)
        self.lease = ssm.Parameter(
            name,
            # Whoever runs a canary, and the function that ends it, find it by name.
            name=f"/{context.environment}/{name}/lease",
            description="Until when somebody answers for a canary that gets traffic",
            type="String",
            value=_NO_LEASE,
            tags=context.tags(name),
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["value"]),
        ).name
        self.alarm_arn = canary_alarms.make(
            name,
            canary_alarms.Watched(
                spec=args.spec,
                balancer=args.balancer_arn_suffix,
                groups={track: group.arn_suffix for track, group in groups.items()},
            ),
            context=context,
            opts=self._child,
        )
        self.register_outputs({"rule_arn": self.rule_arn, "lease": self.lease})

    def _group(self, track: str) -> lb.TargetGroup:
        return lb.TargetGroup(
            f"{self._args.spec.service}-{track}",
            vpc_id=self._args.vpc_id,
            target_type="ip",
            port=self._args.spec.port,
            protocol="HTTP",
            # A pod that stops answers what it has taken on, and ALB does not wait longer than that.
            deregistration_delay=pod.GRACE,
            load_balancing_algorithm_type="least_outstanding_requests",
            health_check={
                "path": "/readyz",
                "protocol": "HTTP",
                "interval": 10,
                "timeout": 5,
                "healthy_threshold": 2,
                "unhealthy_threshold": 2,
                "matcher": "200",
            },
            tags=self._context.tags(self._name),
            opts=self._child,
        )

    def _rules(self) -> lb.ListenerRule:
        spec, arns = self._args.spec, self.target_group_arns
        to_canary = {"type": "forward", "target_group_arn": arns[CANARY]}
        for number, (role, header) in enumerate(
            (("header", (spec.header, CHOSEN)), ("cookie", ("Cookie", f"*{spec.cookie}={CHOSEN}*")))
        ):
            self._rule(role, number, header, to_canary, self._child)
        both = forward(arns, shares(0), spec.sticky_seconds)
        # Whoever runs a canary changes them; all of them, as a rollback leaves one group where there were two.
        free = pulumi.ResourceOptions(parent=self, ignore_changes=["actions"])
        return self._rule("weighted", RULES - 1, None, both, free)

    def _rule(
        self,
        role: str,
        number: int,
        header: tuple[str, str] | None,
        action: dict[str, Any],
        opts: pulumi.ResourceOptions,
    ) -> lb.ListenerRule:
        return lb.ListenerRule(
            f"{self._name}-{role}",
            listener_arn=self._args.listener_arn,
            priority=self._args.priority + number,
            conditions=cast(Any, conditions(self._args.prefix, header)),
            transforms=cast(Any, without_prefix(self._args.prefix)),
            actions=[cast(Any, action)],
            tags=self._context.tags(self._name),
            opts=opts,
        )

    def _canary_service(self) -> None:
        """The pods of a canary: found by their label, and with the same reach as the stable ones."""
        args = self._args
        labels = {**args.labels, "app.kubernetes.io/component": f"{args.labels['app.kubernetes.io/component']}-canary"}
        name = service(args.spec, CANARY)
        k8s.core.v1.Service(
            name,
            metadata=k8s.meta.v1.ObjectMetaArgs(name=name, namespace=args.namespace, labels=labels),
            spec=k8s.core.v1.ServiceSpecArgs(
                selector=labels,
                ports=[k8s.core.v1.ServicePortArgs(name="http", port=args.spec.port, target_port="http")],
            ),
            opts=self._child,
        )
        reach.allow(
            name,
            namespace=args.namespace,
            labels=labels,
            ports=args.reaches,
            surroundings=args.surroundings,
            serves=args.spec.port,
            opts=self._child,
        )

    def _bind(self, track: str, group: lb.TargetGroup) -> None:
        spec = self._args.spec
        name = f"{spec.service}-{track}"
        k8s.apiextensions.CustomResource(
            f"{name}-binding",
            api_version="elbv2.k8s.aws/v1beta1",
            kind="TargetGroupBinding",
            metadata=k8s.meta.v1.ObjectMetaArgs(name=name, namespace=self._args.namespace, labels=self._args.labels),
            spec={
                "targetGroupARN": group.arn,
                "targetType": "ip",
                "serviceRef": {"name": service(spec, track), "port": spec.port},
            },
            opts=self._child,
        )
