"""What moto leaves out of load balancers: the transforms of a rule, and how its targets are.

Whoever runs a balancer here tells how the targets of its groups are (control endpoint, ``/targets``). Of a group of
which nobody has told anything, moto answers that all are healthy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from moto.elbv2.models import FakeHealthStatus, FakeTargetGroup
from moto.elbv2.responses import ELBV2Response
from pydantic import BaseModel, ConfigDict

# As DescribeTargetHealth explains each state (API reference, "TargetHealth").
_REASONS = {
    "initial": ("Elb.InitialHealthChecking", "Initial health checks in progress"),
    "unhealthy": ("Target.FailedHealthChecks", "Health checks failed"),
    "healthy": (None, None),
}
# By the ARN of the group and the id of the target.
_told: dict[str, Mapping[str, str]] = {}


class Told(BaseModel):
    """How the targets of a group are: ``initial``, ``healthy`` or ``unhealthy``, by their id."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    group: str
    states: dict[str, str]

    def keep(self) -> None:
        """From now on DescribeTargetHealth says so."""
        _told[self.group] = self.states


def apply() -> None:
    """Teach moto in this process."""
    _a_rule_keeps_its_transforms()
    _targets_are_as_their_balancer_says()


def _a_rule_keeps_its_transforms() -> None:
    for name in ("create_rule", "modify_rule"):
        setattr(ELBV2Response, name, _keeping(getattr(ELBV2Response, name)))


def _keeping(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def kept(self: Any) -> Any:
        answer = original(self)
        if (given := self._get_param("Transforms")) is not None:
            [rule] = answer.result["Rules"]
            rule.transforms = given
        return answer

    return kept


def _targets_are_as_their_balancer_says() -> None:
    original = FakeTargetGroup.health_for

    def health(self: Any, target: dict[str, Any], ec2_backend: Any) -> FakeHealthStatus:
        registered = self.targets.get(target["Id"])
        if registered is None or self.arn not in _told:
            return original(self, target, ec2_backend)
        state = _told[self.arn].get(target["Id"], "initial")
        reason, says = _REASONS[state]
        return FakeHealthStatus(target["Id"], registered["Port"], self.health_check_port, state, reason, says)

    # In place, because moto makes its groups itself.
    FakeTargetGroup.health_for = health  # type: ignore[method-assign]
