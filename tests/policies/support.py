"""Run one rule on one resource, as the engine would, and put values where a check looks."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pulumi_policy as sdk
from pulumi.runtime import rpc
from pulumi_policy.policy import _NotApplicableError

from policies.checks import Check
from policies.kit import Rule, published
from policies.pods import OfContainers, OfPod
from scripts.policy.judge import resource

UNKNOWN = rpc.UNKNOWN


class Undecided(Exception):
    """The rule does not apply yet, or is excused: the message says why."""


def judge(rule: Rule, props: Mapping[str, Any], kind: str = "", urn: str = "") -> list[str]:
    """The violations that ``rule`` reports of one resource. Raises Undecided."""
    kind = kind or rule.types[0]
    one = resource(kind, props, urn or f"urn:pulumi:dev::p::{kind}::it")
    args = sdk.ResourceValidationArgs(kind, one.props, one.urn, one.name, one.opts, None, {}, {})
    return _told(rule, args)


def judge_stack(rule: Rule, resources: list[sdk.PolicyResource]) -> list[str]:
    """The violations that ``rule`` reports of a stack. Raises Undecided."""
    return _told(rule, sdk.StackValidationArgs(resources, {}, {}))


def _told(rule: Rule, args: Any) -> list[str]:
    said: list[str] = []

    def report(message: str, urn: str | None = None) -> None:
        said.append(message)

    policy: Any = published(rule)
    try:
        policy.validate(args, report)
    except _NotApplicableError as reason:
        raise Undecided(reason.message) from None
    return said


def bare(check: Check) -> dict[str, Any]:
    """The least that ``check`` looks at: nothing, or a workload with one container."""
    if isinstance(check, (OfPod, OfContainers)):
        return {"spec": {"template": {"spec": {"containers": [{"name": "main"}]}}}}
    return {}


def where(check: Check) -> str:
    """The full path of the value that ``check`` looks at."""
    if isinstance(check, OfContainers):
        return f"spec.template.spec.containers[].{check.path}"
    return f"spec.template.spec.{check.path}" if isinstance(check, OfPod) else check.path


def put(props: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of ``props`` with ``value`` at ``path``; of a list, in its first item."""
    made: dict[str, Any] = copy.deepcopy(dict(props))
    at: Any = made
    parts = path.split(".")
    for number, part in enumerate(parts):
        name, each, last = part.removesuffix("[]"), part.endswith("[]"), number == len(parts) - 1
        if each:
            items = at.get(name) or [None if last else {}]
            at[name] = [value, *items[1:]] if last else items
            at = at[name][0]
        elif last:
            at[name] = value
        else:
            at[name] = at.get(name) or {}
            at = at[name]
    return made


def given(check: Check, value: Any) -> dict[str, Any]:
    """The least resource that ``check`` applies to, with ``value`` where it looks."""
    props = bare(check)
    if check.when and check.when[1][0] is not None and isinstance(check.when[1][0], (str, bool)):
        props = put(props, check.when[0], check.when[1][0])
    return put(props, where(check), value)
