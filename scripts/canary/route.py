"""The rule that leads visitors to one release or the other, and how the targets of both are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components.canary import forward
from components.canary_spec import STABLE, TRACKS, CanarySpec, shares
from runbooks._kit import balancer


class Route:
    """``known`` are the ARNs of the rule and of the target groups, as the operations record has them."""

    def __init__(self, elb: Any, known: Mapping[str, str], spec: CanarySpec) -> None:
        self._elb, self._known, self._spec = elb, known, spec

    def weights(self) -> dict[str, int]:
        """The weight of each track that the rule names now; the stable one alone is a canary's end."""
        tracks = {self._known[track]: track for track in TRACKS}
        found = balancer.actions(self._elb, self._known["rule"])
        if weights := balancer.weights(found):
            return {tracks[arn]: weight for arn, weight in weights.items()}
        raise RuntimeError(f"the rule {self._known['rule']} leads to no target group: {found}")

    def share(self, canary: int) -> dict[str, int]:
        """Give the canary so many thousandths of the visitors; returns the weights as they then are."""
        arns = {track: self._known[track] for track in TRACKS}
        said = forward(arns, shares(canary), self._spec.sticky_seconds)["forward"]
        groups = [{"TargetGroupArn": each["arn"], "Weight": each["weight"]} for each in said["target_groups"]]
        sticky = {"Enabled": said["stickiness"]["enabled"], "DurationSeconds": said["stickiness"]["duration"]}
        config = {"TargetGroups": groups, "TargetGroupStickinessConfig": sticky}
        self._modify({"Type": "forward", "ForwardConfig": config})
        return self._checked(shares(canary))

    def stable_alone(self) -> None:
        """One group, and not a weight of 0: visitors stick to the group of their cookie whatever the weights are."""
        self._modify({"Type": "forward", "TargetGroupArn": self._known[STABLE]})
        if set(found := self.weights()) != {STABLE}:
            raise RuntimeError(f"the rule leads to {found} after it was changed: somebody changed it in that moment")

    def healthy(self, track: str) -> tuple[int, int]:
        """How many targets of a track are healthy, of how many."""
        found = self._elb.describe_target_health(TargetGroupArn=self._known[track])["TargetHealthDescriptions"]
        states = [each["TargetHealth"]["State"] for each in found]
        return states.count("healthy"), len(states)

    def _modify(self, action: dict[str, Any]) -> None:
        self._elb.modify_rule(RuleArn=self._known["rule"], Actions=[action])

    def _checked(self, wanted: dict[str, int]) -> dict[str, int]:
        if (found := self.weights()) != wanted:
            raise RuntimeError(f"the rule has weights {found} after {wanted} were set: somebody changed it meanwhile")
        return found
