"""How a rule is written: a function that looks at one property, and the control that it proves.

An absent property is ``None``, which is not the same as ``False`` or ``0``. A property that a preview does not know yet
raises inside ``props.get``: the SDK then reports that the rule could not be decided, and the update decides it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi_policy as sdk

Properties = Mapping[str, Any]
Check = Callable[[Properties], str | None]
StackCheck = Callable[[Sequence[sdk.PolicyResource]], Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """The published control that a rule proves. ``ids`` are as in the catalogue, ``link`` is its authority's page."""

    ids: tuple[str, ...]
    title: str
    severity: sdk.Severity
    remedy: str
    link: str


def resource_rule(name: str, control: Control, types: Sequence[str], check: Check) -> sdk.ResourceValidationPolicy:
    """A rule on each resource of ``types``: ``check`` returns what is wrong (property and value), or None."""
    wanted = frozenset(types)

    def validate(args: sdk.ResourceValidationArgs, report: sdk.ReportViolation) -> None:
        if args.resource_type in wanted and (wrong := check(args.props)):
            report(f"{args.name}: {wrong}. {control.remedy}", None)

    return sdk.ResourceValidationPolicy(validate=validate, **_metadata(name, control))


def stack_rule(name: str, control: Control, check: StackCheck) -> sdk.StackValidationPolicy:
    """A rule on the stack as a whole: ``check`` returns what is wrong by URN."""

    def validate(args: sdk.StackValidationArgs, report: sdk.ReportViolation) -> None:
        for urn, wrong in check(args.resources).items():
            report(f"{wrong}. {control.remedy}", urn)

    return sdk.StackValidationPolicy(validate=validate, **_metadata(name, control))


def token(resource: type) -> str:
    """The type token of an SDK class: read from the SDK, because a token typed by hand may match nothing for ever."""
    found: str = vars(resource)["pulumi_type"]
    return found


def _metadata(name: str, control: Control) -> dict[str, Any]:
    return {
        "name": name,
        "description": f"{control.title} ({', '.join(control.ids)})",
        "display_name": control.title,
        "severity": control.severity,
        "remediation_steps": control.remedy,
        "url": control.link,
        "tags": list(control.ids),
    }
