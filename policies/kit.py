"""How a rule is written: a row that ties controls of the catalogue to a check, and how it becomes a policy of the SDK.

An absent property is not the same as ``False`` or ``0``. A property that a preview does not know yet raises inside
``props``: the rule then does not apply yet, quietly, and the update, which asks again
before it makes anything, decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi_policy as sdk
from pulumi_policy.proxy import UnknownValueError

from policies import exemptions
from policies.catalogue import Entry, entries
from policies.checks import Check, Judged, Properties

StackCheck = Callable[[Sequence[sdk.PolicyResource]], Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What is judged, by which controls. Exactly one of ``check`` (a resource) and ``stack`` (all of them) is given."""

    name: str
    ids: tuple[str, ...]
    types: tuple[str, ...]
    remedy: str
    check: Check | Judged | None = None
    stack: StackCheck | None = None
    # Advisory until an environment's levels say otherwise: what makes production resilient costs money elsewhere.
    resilience: bool = False
    # Whether an environment may let the engine mend it: only what changes in place.
    mends: bool = False

    @property
    def control(self) -> Entry:
        """The first of its rows: its title, severity and page stand for the rule."""
        return entries()[self.ids[0]]


def rule(
    name: str,
    ids: str | Iterable[str],
    check: Check | Judged,
    *,
    types: Sequence[str] = (),
    remedy: str = "",
    resilience: bool = False,
    mends: bool = False,
) -> Rule:
    """A rule on each resource of ``types``; without them, those of its first row of the catalogue."""
    keys = (ids,) if isinstance(ids, str) else tuple(ids)
    return Rule(
        name=name,
        ids=keys,
        types=tuple(types) or entries()[keys[0]].types,
        remedy=remedy or check.remedy,
        check=check,
        resilience=resilience,
        mends=mends,
    )


def stack_rule(
    name: str,
    ids: str | Iterable[str],
    check: StackCheck,
    *,
    types: Sequence[str],
    remedy: str,
    resilience: bool = False,
) -> Rule:
    """A rule on the stack as a whole. It is shown resources of ``types`` only."""
    keys = (ids,) if isinstance(ids, str) else tuple(ids)
    return Rule(name=name, ids=keys, types=tuple(types), remedy=remedy, stack=check, resilience=resilience)


def published(one: Rule) -> sdk.Policy:
    """The policy that the engine asks."""
    if one.stack is not None:
        return sdk.StackValidationPolicy(validate=_stack(one, one.stack), **_metadata(one))
    assert one.check is not None
    fix = _remediation(one, one.check) if one.mends and isinstance(one.check, Check) else None
    return sdk.ResourceValidationPolicy(validate=_resource(one, one.check), remediate=fix, **_metadata(one))


def _resource(one: Rule, check: Callable[[Properties], str | None]) -> Callable[..., None]:
    wanted = frozenset(one.types)

    def validate(args: sdk.ResourceValidationArgs, report: sdk.ReportViolation) -> None:
        if args.resource_type not in wanted:
            return
        try:
            wrong = check(args.props)
        except UnknownValueError as unknown:
            args.not_applicable(f"{unknown.message}; the update decides")
        if not wrong:
            return
        if excused := exemptions.current().excuse(one.name, args.urn):
            args.not_applicable(excused)
        report(f"{args.name}: {wrong}. {one.remedy}", None)

    return validate


def _stack(one: Rule, check: StackCheck) -> Callable[..., None]:
    def validate(args: sdk.StackValidationArgs, report: sdk.ReportViolation) -> None:
        # The engine shows nothing of an object while its provider waits for a cluster that is still to be made.
        if hidden := [
            each.name for each in args.resources if each.resource_type.startswith("kubernetes:") and not each.props
        ]:
            args.not_applicable(f"{', '.join(hidden)} cannot be seen yet; the update decides")
        excuses = []
        for urn, wrong in check(args.resources).items():
            if excused := exemptions.current().excuse(one.name, urn):
                excuses.append(f"{urn.rsplit('::', 1)[-1]}: {excused}")
            else:
                report(f"{wrong}. {one.remedy}", urn)
        if excuses:
            args.not_applicable("; ".join(excuses))

    return validate


def _remediation(one: Rule, check: Check) -> Callable[..., Any]:
    """The same inputs with a value that complies; the SDK asks for it only where the level is `remediate`."""
    wanted = frozenset(one.types)
    head, _, rest = check.path.partition(".")

    def remediate(args: sdk.ResourceValidationArgs) -> Mapping[str, Any] | None:
        if args.resource_type not in wanted or check(args.props) is None:
            return None
        return {**args.props, head: {**(args.props.get(head) or {}), rest: check.good} if rest else check.good}

    return remediate


def token(resource: type) -> str:
    """The type token of an SDK class; tests hold the catalogue's tokens to it."""
    found: str = vars(resource)["pulumi_type"]
    return found


def _metadata(one: Rule) -> dict[str, Any]:
    control = one.control
    return {
        "name": one.name,
        "description": f"{control.title} ({', '.join(one.ids)})",
        "display_name": control.title,
        "severity": sdk.Severity(control.severity),
        "enforcement_level": sdk.EnforcementLevel.ADVISORY if one.resilience else sdk.EnforcementLevel.MANDATORY,
        "remediation_steps": one.remedy,
        "url": control.link,
        "tags": list(one.ids),
    }
