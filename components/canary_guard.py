"""Takes canaries back without the machine that runs them: alarm → EventBridge → function, and a lease that ends.

One function for all canaries of an environment. It may read rules, change those of the canaries and write their leases,
and nothing else. It refuses an environment with more canaries than one event describes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
from pulumi_aws import cloudwatch

from components import iam
from components.canary import Canary
from components.canary_spec import STABLE
from components.context import Context, Place
from components.function import Function, FunctionArgs

_FUNCTIONS = Path(__file__).parent / "functions"
_MODULE = "canary_rollback"
# A canary without anybody gets traffic for a minute more than its lease, and one of the function's seconds.
_EVERY = "rate(1 minute)"
# EventBridge User Guide, "Quotas": characters of a target's input; a canary takes about 350.
_CANARIES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryGuardArgs:
    """The canaries by their service."""

    canaries: Mapping[str, Canary]

    def __post_init__(self) -> None:
        if not 0 < len(self.canaries) <= _CANARIES:
            raise ValueError(
                f"canaries are {len(self.canaries)}; one event of EventBridge describes 1 to {_CANARIES}: make another "
                "guard for the rest"
            )


def permissions(place: Place, rules: list[str], leases: list[str]) -> list[dict[str, Any]]:
    """Describing knows no resources (Service Authorization Reference, "Elastic Load Balancing V2")."""
    return [
        iam.allow(("elasticloadbalancing:DescribeRules",), ("*",)),
        iam.allow(("elasticloadbalancing:ModifyRule",), rules),
        iam.allow(("ssm:GetParameter", "ssm:PutParameter"), [place.arn("ssm", f"parameter{name}") for name in leases]),
    ]


def fired(alarm_arn: str) -> str:
    """The event with which CloudWatch says that this alarm fires."""
    return json.dumps(
        {
            "source": ["aws.cloudwatch"],
            "detail-type": ["CloudWatch Alarm State Change"],
            "resources": [alarm_arn],
            "detail": {"state": {"value": ["ALARM"]}},
        },
        sort_keys=True,
    )


class CanaryGuard(pulumi.ComponentResource):
    """The function, a rule for each canary's alarm, and a rule for the leases of all."""

    function_name: pulumi.Output[str]

    def __init__(
        self, name: str, args: CanaryGuardArgs, *, context: Context, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("platform:delivery:CanaryGuard", name, None, opts)
        self._name, self._context = name, context
        self._child = pulumi.ResourceOptions(parent=self)
        canaries = list(args.canaries.values())
        files = {f"components/functions/{_MODULE}.py": _FUNCTIONS / f"{_MODULE}.py"}
        files |= {f"components/{init}": _FUNCTIONS.parent / init for init in ("__init__.py", "functions/__init__.py")}
        self._function = Function(
            f"{name}-rollback",
            FunctionArgs(
                about="Takes a canary back to the stable target group",
                files=files,
                handler=f"components.functions.{_MODULE}.handler",
                runbook="canary_abort",
                # The alarms of several canaries and the minute's event may fall together.
                concurrency=5,
                permissions=[
                    pulumi.Output.all(
                        context.place,
                        pulumi.Output.all(*(canary.rule_arn for canary in canaries)),
                        pulumi.Output.all(*(canary.lease for canary in canaries)),
                    ).apply(lambda known: permissions(*known))
                ],
            ),
            context=context,
            opts=self._child,
        )
        self.function_name = self._function.name
        for service, canary in args.canaries.items():
            self._call(service, "alarm", [canary], event_pattern=canary.alarm_arn.apply(fired))
        self._call("leases", "lease", canaries, schedule_expression=_EVERY)
        self.register_outputs({"function_name": self.function_name})

    def _call(self, role: str, why: str, canaries: list[Canary], **when: Any) -> None:
        name = f"{self._name}-{role}"
        rule = cloudwatch.EventRule(
            name,
            description=f"Looks after canaries: {why}",
            tags=self._context.tags(self._name),
            opts=self._child,
            **when,
        )
        described = [
            {"rule": canary.rule_arn, "stable": canary.target_group_arns[STABLE], "lease": canary.lease}
            for canary in canaries
        ]
        cloudwatch.EventTarget(
            name,
            rule=rule.name,
            arn=self._function.arn,
            input=pulumi.Output.json_dumps({"why": why, "canaries": described}, sort_keys=True),
            opts=self._child,
        )
        self._function.callable_by(role, "events.amazonaws.com", source_arn=rule.arn)
