"""Run one rule on one resource, as the engine would."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pulumi.runtime import rpc
from pulumi_policy import PolicyResourceOptions, ResourceValidationArgs, ResourceValidationPolicy
from pulumi_policy.policy import PolicyCustomTimeouts
from pulumi_policy.proxy import unknown_checking_proxy

UNKNOWN = rpc.UNKNOWN
_OPTIONS = PolicyResourceOptions(
    protect=False,
    ignore_changes=[],
    delete_before_replace=False,
    aliases=[],
    custom_timeouts=PolicyCustomTimeouts(0, 0, 0),
    additional_secret_outputs=[],
    parent="",
)


def judge(rule: ResourceValidationPolicy, kind: str, props: Mapping[str, Any]) -> list[str]:
    """The violations that ``rule`` reports. Raises UnknownValueError when it cannot decide yet."""
    said: list[str] = []

    def report(message: str, urn: str | None = None) -> None:
        said.append(message)

    args = ResourceValidationArgs(
        kind, unknown_checking_proxy(dict(props)), f"urn:pulumi:dev::p::{kind}::it", "it", _OPTIONS, None, {}, {}
    )
    rule.validate(args, report)
    return said
