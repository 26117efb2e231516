"""The firewall in front of CloudFront: AWS WAF, in us-east-1, with its address lists, its log and its alarm.

Every rule starts by counting. What it would have refused is in its log and its metric; once that was read
(runbooks/waf_block.md), its name goes into ``enforced`` and it acts. The profile says which rates are usual: in a sale
the queue may be asked often, the checkout seldom. It refuses the name of a rule that does not exist, and a set of rules
that costs more capacity than was agreed: beyond 1,500 units every request costs more, and at 5,000 AWS refuses.

The address lists start empty and belong to people: what on-call adds at night is not undone by the next update.
Whatever is logged has lost its credentials: the headers authorization and cookie.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import pulumi
from pulumi_aws import cloudwatch, wafv2

from components import aws_facts, encryption
from components.alarm import alarm
from components.context import Context
from components.edge_logs import log_policy
from components.firewall_rules import NAMES, NO_SETS, RATES, Does, Profile, Rule, rules, units
from components.severity import Severity

_REGION, _SCOPE = aws_facts.CLOUDFRONT_REGION, "CLOUDFRONT"
# AWS WAF Developer Guide, "Sending web ACL traffic logs to a CloudWatch Logs log group": the name must start so.
LOG_PREFIX = "aws-waf-logs-"
REDACTED = ("authorization", "cookie")
_FAMILIES = ("IPV4", "IPV6")
# Requests refused in five minutes: more than scanners cause on a quiet day, less than a buyer's rush that is turned
# away.
_REFUSED_ABOVE = 1000
_BODIES = {
    "refused": '{"type": "about:blank", "title": "Refused", "status": 403}',
    "slow-down": '{"type": "about:blank", "title": "Too many requests: wait a minute", "status": 429}',
}
_ACTIONS: Mapping[Does, Mapping[str, Any]] = {
    Does.ALLOW: {"allow": {}},
    Does.REFUSE: {"block": {"custom_response": {"response_code": 403, "custom_response_body_key": "refused"}}},
    Does.SLOW_DOWN: {
        "block": {
            "custom_response": {
                "response_code": 429,
                "custom_response_body_key": "slow-down",
                "response_headers": [{"name": "Retry-After", "value": "60"}],
            }
        }
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallArgs:
    """``enforced`` are the rules that act; the others count. ``capacity`` is what they may cost together, in WCU."""

    profile: Profile
    enforced: frozenset[str]
    capacity: int = aws_facts.WAF_INCLUDED

    def __post_init__(self) -> None:
        if strangers := sorted(self.enforced - set(NAMES)):
            raise ValueError(f"enforced has {', '.join(strangers)}; the rules are {', '.join(NAMES)}: name one of them")
        if self.capacity > aws_facts.WAF_MOST:
            raise ValueError(
                f"capacity is {self.capacity} WCU; a web ACL has at most {aws_facts.WAF_MOST}: take rules out"
            )
        needed = units(rules(RATES[self.profile], NO_SETS))
        if needed > self.capacity:
            raise ValueError(
                f"the rules need {needed} WCU, and capacity is {self.capacity}; take rules out, or agree to pay for "
                f"more than the {aws_facts.WAF_INCLUDED} that are included and raise it"
            )


def visibility(metric: str) -> dict[str, Any]:
    """Every rule has a metric and samples: they are the evidence by which it is promoted."""
    return {"cloudwatch_metrics_enabled": True, "sampled_requests_enabled": True, "metric_name": metric}


def acl_rules(firewall: tuple[Rule, ...], enforced: frozenset[str]) -> list[dict[str, Any]]:
    """The rules as the web ACL takes them, in their order."""
    return [_acl_rule(10 * number, rule, rule.name in enforced) for number, rule in enumerate(firewall, start=1)]


def _acl_rule(priority: int, rule: Rule, acts: bool) -> dict[str, Any]:
    if rule.does is Does.AS_ITS_RULES_SAY:
        action: dict[str, Any] = {"override_action": {"none": {}} if acts else {"count": {}}}
    else:
        action = {"action": dict(_ACTIONS[rule.does]) if acts else {"count": {}}}
    return {
        "name": rule.name,
        "priority": priority,
        "statement": rule.statement,
        "visibility_config": visibility(rule.name),
        **action,
        **({"rule_labels": [{"name": rule.label}]} if rule.label else {}),
    }


class Firewall(pulumi.ComponentResource):
    """A web ACL for CloudFront, the IP sets that people fill, its encrypted log and the alarm on what it refuses."""

    arn: pulumi.Output[str]
    log_group_name: pulumi.Output[str]

    def __init__(
        self, name: str, args: FirewallArgs, *, context: Context, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """``context`` has a topic in us-east-1, where the alarm is."""
        super().__init__("platform:edge:Firewall", name, None, opts)
        self._name, self._context = name, context
        self._child = pulumi.ResourceOptions(parent=self)
        metric = f"{context.environment}-{name}"
        sets = {role: [self._set(role, family) for family in _FAMILIES] for role in ("allowed", "blocked")}
        acl = wafv2.WebAcl(
            name,
            scope=_SCOPE,
            region=_REGION,
            description="In front of CloudFront",
            default_action={"allow": {}},
            rules=cast(Any, acl_rules(rules(RATES[args.profile], sets), args.enforced)),
            custom_response_bodies=[
                {"key": key, "content": body, "content_type": "APPLICATION_JSON"} for key, body in _BODIES.items()
            ],
            visibility_config=cast(Any, visibility(metric)),
            tags=context.tags(name),
            opts=self._child,
        )
        self.arn = acl.arn
        self._log(acl)
        alarm(
            f"{name}-refused",
            context=context,
            says=f"The firewall refused more than {_REFUSED_ABOVE} requests in five minutes.",
            runbook="waf_block",
            namespace="AWS/WAFV2",
            metric="BlockedRequests",
            # For CloudFront there is no dimension Region (AWS WAF Developer Guide, "AWS WAF metrics and dimensions").
            dimensions={"WebACL": metric, "Rule": "ALL"},
            statistic="Sum",
            period=300,
            periods=1,
            above=_REFUSED_ABOVE,
            severity=Severity.PAGE,
            region=_REGION,
            opts=self._child,
        )
        self.register_outputs({"arn": self.arn})

    def _set(self, role: str, family: str) -> pulumi.Output[str]:
        name = f"{self._name}-{role}-{family.lower()}"
        return wafv2.IpSet(
            name,
            # On-call finds it by name, at night.
            name=f"{self._context.environment}-{name}",
            scope=_SCOPE,
            region=_REGION,
            ip_address_version=family,
            addresses=[],
            tags=self._context.tags(self._name),
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["addresses"]),
        ).arn

    def _log(self, acl: wafv2.WebAcl) -> None:
        name, context = self._name, self._context
        key = encryption.key(
            f"{name}-log",
            context=context,
            purpose="Log of the firewall",
            services=(f"logs.{_REGION}.amazonaws.com",),
            region=_REGION,
            opts=self._child,
        )
        group = cloudwatch.LogGroup(
            name,
            name=f"{LOG_PREFIX}{context.environment}-{name}",
            kms_key_id=key.arn,
            retention_in_days=context.log_retention_days,
            region=_REGION,
            tags=context.tags(name),
            opts=self._child,
        )
        allowed = cloudwatch.LogResourcePolicy(
            name,
            policy_name=f"{context.environment}-{name}",
            policy_document=pulumi.Output.all(context.place, group.arn).apply(lambda known: log_policy(*known)),
            region=_REGION,
            opts=self._child,
        )
        wafv2.WebAclLoggingConfiguration(
            name,
            resource_arn=acl.arn,
            log_destination_configs=[group.arn],
            redacted_fields=[{"single_header": {"name": header}} for header in REDACTED],
            # In a sale nearly all requests are allowed: what was matched is what somebody reads.
            logging_filter={
                "default_behavior": "DROP",
                "filters": [
                    {
                        "behavior": "KEEP",
                        "requirement": "MEETS_ANY",
                        "conditions": [
                            {"action_condition": {"action": action}}
                            for action in ("BLOCK", "COUNT", "EXCLUDED_AS_COUNT")
                        ],
                    }
                ],
            },
            region=_REGION,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[allowed]),
        )
        self.log_group_name = group.name
