"""Judge a recorded state by the packs, as the engine would: the same policies, without an engine."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi_policy as sdk
from pulumi_policy.policy import PolicyCustomTimeouts, _NotApplicableError
from pulumi_policy.proxy import UnknownValueError, unknown_checking_proxy

from policies.kit import Rule, published
from scripts.state import SIGNATURE

_TIMEOUTS = PolicyCustomTimeouts(0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One violation, or one that is excused."""

    policy: str
    level: str
    severity: str
    urn: str
    message: str
    excused: str = ""


def resources(record: Mapping[str, Any]) -> list[sdk.PolicyResource]:
    """What a stack policy is shown of a state: each resource's inputs, and which resources its properties came from."""
    items = record.get("resources") or ()
    made = {item["urn"]: resource(item["type"], plain(item.get("inputs") or {}), item["urn"]) for item in items}
    for item in items:
        for key, urns in (item.get("propertyDependencies") or {}).items():
            made[item["urn"]].property_dependencies[key] = [made[urn] for urn in urns if urn in made]
    return list(made.values())


def resource(kind: str, props: Mapping[str, Any], urn: str) -> sdk.PolicyResource:
    """One resource as the SDK would hand it over."""
    return sdk.PolicyResource(
        kind, unknown_checking_proxy(dict(props)), urn, urn.rsplit("::", 1)[-1], _options(), None, None, [], {}
    )


def judge(rules: Sequence[Rule], all_: Sequence[sdk.PolicyResource]) -> list[Finding]:
    """Every violation of ``rules``, in their order."""
    by_type: dict[str, list[sdk.PolicyResource]] = defaultdict(list)
    for one in all_:
        by_type[one.resource_type].append(one)
    return [finding for rule in rules for finding in _judge(rule, by_type)]


def matched(rule: Rule, all_: Sequence[sdk.PolicyResource]) -> bool:
    """Whether there is anything that ``rule`` looks at."""
    return not {one.resource_type for one in all_}.isdisjoint(rule.types)


def plain(value: Any) -> Any:
    """Secrets without their envelope, as a policy is given them."""
    if isinstance(value, dict):
        if SIGNATURE in value:
            return plain(json.loads(value["plaintext"])) if "plaintext" in value else value.get("hash", "")
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def _judge(rule: Rule, by_type: Mapping[str, Sequence[sdk.PolicyResource]]) -> Iterator[Finding]:
    policy = published(rule)
    seen = [one for kind in dict.fromkeys(rule.types) for one in by_type.get(kind, ())]
    if isinstance(policy, sdk.StackValidationPolicy):
        if seen:
            yield from _asked(policy, sdk.StackValidationArgs(seen, {}, {}), seen[0].urn)
        return
    for one in seen:
        args = sdk.ResourceValidationArgs(one.resource_type, one.props, one.urn, one.name, one.opts, None, {}, {})
        yield from _asked(policy, args, one.urn)


def _asked(policy: Any, args: Any, urn: str) -> Iterator[Finding]:
    told: list[tuple[str, str]] = []

    def finding(message: str, at: str, excused: str = "") -> Finding:
        level = policy.enforcement_level.value
        return Finding(
            policy=policy.name, level=level, severity=policy.severity.value, urn=at, message=message, excused=excused
        )

    def report(message: str, at: str | None = None) -> None:
        told.append((message, at or urn))

    excused = None
    try:
        policy.validate(args, report)
    except UnknownValueError:
        return
    except _NotApplicableError as reason:
        excused = finding(str(reason.message), urn, str(reason.message))
    yield from (finding(message, at) for message, at in told)
    if excused:
        yield excused


def _options() -> sdk.PolicyResourceOptions:
    return sdk.PolicyResourceOptions(False, [], False, [], _TIMEOUTS, [], None)
