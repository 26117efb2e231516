"""Takes a canary back: its ALB rule leads to the stable target group alone.

Called for two reasons. An alarm on the canary fired: whatever the rule says, it ends. Or a minute has passed, and a
canary that gets traffic is held by nobody: who runs one keeps a lease, a moment in an SSM parameter until which they
answer for it, and when their machine is gone the lease ends by itself. A lease that cannot be read has ended.

A single target group, and not a weight of 0: with stickiness a visitor stays with the group of their cookie whatever
the weights are (Application Load Balancer Guide, "Sticky sessions").
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import boto3

log = logging.getLogger()
log.setLevel(logging.INFO)

Canary = Mapping[str, str]
ALARM, LEASE = "alarm", "lease"


class NotRolledBack(RuntimeError):
    """A canary still gets traffic; Lambda calls again, and the function's alarm tells a person."""


def handler(event: Mapping[str, Any], _context: object) -> dict[str, str]:
    """What EventBridge calls: ``why``, and ``canaries`` with the ARNs of rule and stable target group, and the lease's
    name. Raises NotRolledBack when one of them could not be brought back; the others are.
    """
    clients = boto3.client("elbv2"), boto3.client("ssm")
    return settle_all(event, *clients, now=datetime.now(UTC))


def settle_all(event: Mapping[str, Any], elb: Any, ssm: Any, *, now: datetime) -> dict[str, str]:
    """Look after every canary of the event; returns what became of each, by its rule."""
    if event["why"] not in (ALARM, LEASE):
        raise ValueError(f"why is {event['why']!r}; EventBridge sends {ALARM} or {LEASE}")
    outcomes: dict[str, str] = {}
    failed: list[str] = []
    for canary in event["canaries"]:
        try:
            outcomes[canary["rule"]] = settle(canary, event["why"], elb, ssm, now=now)
        except Exception as error:
            log.exception("%s could not be brought back", canary["rule"])
            failed.append(f"{canary['rule']}: {error}")
    if failed:
        raise NotRolledBack("; ".join(failed))
    return outcomes


def settle(canary: Canary, why: str, elb: Any, ssm: Any, *, now: datetime) -> str:
    """Take one canary back if there is a reason to; returns what was done."""
    weights = _weights(elb, canary["rule"])
    if set(weights) == {canary["stable"]}:
        return "stable alone already"
    if why == LEASE:
        if not any(weight for group, weight in weights.items() if group != canary["stable"]):
            return "no traffic"
        if (until := _held_until(ssm, canary["lease"])) and until > now:
            return f"held until {until.isoformat()}"
    elb.modify_rule(RuleArn=canary["rule"], Actions=[{"Type": "forward", "TargetGroupArn": canary["stable"]}])
    left = _weights(elb, canary["rule"])
    if set(left) != {canary["stable"]}:
        raise NotRolledBack(f"the rule leads to {left} after it was changed")
    ended = {"ended": now.isoformat(), "why": why, "weights": weights}
    ssm.put_parameter(Name=canary["lease"], Value=json.dumps(ended, sort_keys=True), Overwrite=True)
    log.warning("%s: taken back because of the %s; it had %s", canary["rule"], why, weights)
    return "taken back"


def _weights(elb: Any, rule: str) -> dict[str, int]:
    """Target group → weight, as the rule has them now. Raises NotRolledBack for a rule that does something else."""
    [found] = elb.describe_rules(RuleArns=[rule])["Rules"]
    for action in found["Actions"]:
        if groups := action.get("ForwardConfig", {}).get("TargetGroups"):
            return {group["TargetGroupArn"]: int(group.get("Weight", 1)) for group in groups}
        if "TargetGroupArn" in action:
            return {action["TargetGroupArn"]: 1}
    raise NotRolledBack(f"the rule forwards to no target group: {found['Actions']}")


def _held_until(ssm: Any, name: str) -> datetime | None:
    """When the lease ends; None when there is none, or none that can be understood."""
    try:
        until = datetime.fromisoformat(json.loads(ssm.get_parameter(Name=name)["Parameter"]["Value"])["expires"])
    except ssm.exceptions.ParameterNotFound:
        return None
    except (ValueError, KeyError, TypeError):
        log.warning("the lease %s cannot be understood, so it has ended", name)
        return None
    return until if until.tzinfo else None
