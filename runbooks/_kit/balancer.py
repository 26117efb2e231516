"""A rule of the load balancer: the target groups that it leads to, and what CloudWatch knows them by.

The function that takes canaries back reads rules by itself (components/functions/canary_rollback.py): it is shipped
alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

NAMESPACE = "AWS/ApplicationELB"


def actions(elb: Any, rule: str) -> list[dict[str, Any]]:
    """What the rule with that ARN does; ``elb`` is a client of ELBv2."""
    [found] = elb.describe_rules(RuleArns=[rule])["Rules"]
    return list(found["Actions"])


def weights(actions: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Target group → weight; empty for a rule that leads to none."""
    for action in actions:
        if groups := (action.get("ForwardConfig") or {}).get("TargetGroups"):
            return {group["TargetGroupArn"]: int(group.get("Weight", 1)) for group in groups}
        if "TargetGroupArn" in action:
            return {action["TargetGroupArn"]: 1}
    return {}


def dimensions(rule: str, group: str) -> dict[str, str]:
    """Of the metrics of a target group, by ARNs; its balancer is known from the rule's."""
    balancer = "/".join(rule.partition(":listener-rule/")[2].split("/")[:3])
    return {"LoadBalancer": balancer, "TargetGroup": group.rpartition(":")[2]}
