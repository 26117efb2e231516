"""The packs on the recorded production: nothing is violated, and breaking one property makes one rule speak."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import pulumi_policy as sdk
import pytest

from policies import exemptions
from policies.checks import Check, Judged, values
from policies.kit import Rule
from policies.packs import RULES
from policies.pods import OfContainers, OfPod
from policies.stacks import Companion
from scripts import record
from scripts.policy import judge
from tests.policies.support import put, where

# Rules that look at the same property as the one that is broken, and speak with it.
SIBLINGS: Mapping[str, frozenset[str]] = {
    "firewall-has-rules": frozenset({"firewall-knows-bad-inputs", "firewall-limits-rates"}),
    "log-ends": frozenset({"log-kept"}),
    "pods-capabilities-baseline": frozenset({"pods-add-no-capability"}),
    "pods-without-host-paths": frozenset({"pods-volume-types"}),
    "pods-confined": frozenset({"pods-seccomp"}),
    "pods-not-user-zero": frozenset({"pods-high-user"}),
    "pods-add-no-capability": frozenset({"pods-capabilities-baseline"}),
    "image-by-digest": frozenset({"image-from-known-registry", "image-pulled-again", "image-tag-fixed"}),
    "pods-no-runtime-socket": frozenset({"pods-volume-types", "pods-without-host-paths"}),
    "pods-no-ingress-nginx": frozenset({"image-by-digest", "image-from-known-registry", "image-pulled-again"}),
    "database-logged": frozenset({"database-postgresql-logged"}),
    "database-postgresql-logged": frozenset({"database-logged"}),
    "image-from-known-registry": frozenset({"image-by-digest", "image-pulled-again", "image-tag-fixed"}),
}
# What production has none of to break: their tables are tried in test_rules.py alone.
NOT_THERE = frozenset({"broker-audited", "pods-safe-sysctls", "site-has-root", "template-private"})


@cache
def production() -> tuple[sdk.PolicyResource, ...]:
    """Every resource of the record."""
    return tuple(judge.resources(record.read()))


@cache
def inputs() -> Mapping[str, dict[str, Any]]:
    """The plain inputs of each resource, by URN."""
    return {item["urn"]: judge.plain(item.get("inputs") or {}) for item in record.read()["resources"]}


def target(rule: Rule) -> sdk.PolicyResource | None:
    """A resource of production that ``rule`` judges, and that has the value it looks at."""
    check = rule.check
    assert isinstance(check, Check)
    for one in production():
        if one.resource_type in rule.types and (one_found := list(values(inputs()[one.urn], where(check)))):
            if check.when and not any(value in check.when[1] for _, value in values(inputs()[one.urn], check.when[0])):
                continue
            if one_found and check(inputs()[one.urn]) is None:
                return one
    return None


BREAKABLE = [rule for rule in RULES if isinstance(rule.check, Check) and target(rule) is not None]


def test_production_violates_nothing() -> None:
    assert [finding for finding in judge.judge(RULES, production()) if not finding.excused] == []


def test_every_exemption_is_used() -> None:
    judge.judge(RULES, production())
    assert exemptions.current().unused() == []


@pytest.mark.parametrize("rule", BREAKABLE, ids=lambda rule: rule.name)
def test_breaking_one_property_of_production_makes_one_rule_speak(rule: Rule) -> None:
    check = rule.check
    one = target(rule)
    assert isinstance(check, Check)
    assert one is not None
    before = {finding.policy for finding in judge.judge(of_resources(), [one])}
    broken = judge.resource(one.resource_type, put(inputs()[one.urn], where(check), check.bad[0]), one.urn)
    spoke = {finding.policy for finding in judge.judge(of_resources(), [broken])} - before
    assert spoke == {rule.name} | SIBLINGS.get(rule.name, frozenset())


JUDGED = [rule for rule in RULES if isinstance(rule.check, Judged) and judge.matched(rule, production())]


@pytest.mark.parametrize("rule", JUDGED, ids=lambda rule: rule.name)
def test_breaking_what_a_judge_looks_at_in_production_makes_it_speak(rule: Rule) -> None:
    assert isinstance(rule.check, Judged)
    replaced = set(rule.check.good)
    # Each value that breaks it is of one of the types that the rule looks at; no exemption knows the name.
    broken = [
        judge.resource(
            kind, {**{key: value for key, value in inputs()[one.urn].items() if key not in replaced}, **bad}, urn
        )
        for one in production()
        if (kind := one.resource_type) in rule.types
        for urn in [f"urn:pulumi:prod::p::{kind}::broken"]
        for bad in rule.check.bad
    ]
    assert [finding for finding in judge.judge([rule], broken) if not finding.excused]


def of_resources() -> list[Rule]:
    """The rules that look at one resource."""
    return [rule for rule in RULES if rule.check is not None]


def test_every_rule_that_meets_production_is_broken_here_but_where_nothing_is_to_break() -> None:
    met = [rule for rule in RULES if isinstance(rule.check, Check) and judge.matched(rule, production())]
    pods = [rule for rule in met if isinstance(rule.check, (OfPod, OfContainers))]
    assert pods
    assert {rule.name for rule in met} - {rule.name for rule in BREAKABLE} == NOT_THERE


@pytest.mark.parametrize(
    ("rule", "without"),
    [
        (rule, kind)
        for rule in RULES
        if isinstance(rule.stack, Companion) and judge.matched(rule, production())
        for kind in rule.stack.by
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_taking_companions_out_of_production_is_told(rule: Rule, without: str) -> None:
    left = [one for one in production() if one.resource_type != without]
    there = len(left) < len(production())
    wrong = [finding for finding in judge.judge([rule], left) if not finding.excused]
    assert bool(wrong) is there or rule.name == "balancer-behind-firewall"
