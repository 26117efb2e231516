"""`eventctl policy`: what is enforced, why, what it covers, and how it judges a recorded state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Any

import typer

from policies import exemptions
from policies.catalogue import entries, waivers
from policies.kit import Rule
from policies.packs import PACKS
from scripts import policy_catalogue, record
from scripts.cli import console
from scripts.cli.environment import StateFile, deployment
from scripts.policy import coverage as covering
from scripts.policy import formats, judge

app = typer.Typer(no_args_is_help=True, help="The policies: list, explain, what they cover, how they judge a state.")
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Format(StrEnum):
    """How `check` prints."""

    TABLE = "table"
    JSON = "json"
    SARIF = "sarif"
    JUNIT = "junit"


@app.command("list")
def list_(
    pack: Annotated[str, typer.Option(help=f"Only of this pack: {', '.join(PACKS)}.")] = "", as_json: _Json = False
) -> None:
    """Every policy with its controls, severity and level."""
    found = [_about(name, rule) for name, rules in _packs(pack).items() for rule in rules]
    if as_json:
        console.as_json(found)
        return
    columns = ("policy", "pack", "severity", "level", "controls")
    console.table(
        columns,
        [[one["policy"], one["pack"], one["severity"], one["level"], ", ".join(one["controls"])] for one in found],
    )


@app.command()
def explain(
    id: Annotated[str, typer.Argument(help="A policy, or a control such as 'FSBP RDS.3'.")], as_json: _Json = False
) -> None:
    """What a policy or a control asks, of what, why, and what to do."""
    rules = [(name, rule) for name, rules in PACKS.items() for rule in rules if id == rule.name or id in rule.ids]
    if not rules and id in waivers():
        found: list[dict[str, Any]] = [{"control": id, "title": entries()[id].title, "waived": waivers()[id]}]
    else:
        found = [{**_about(name, rule), **_details(rule)} for name, rule in rules]
    if not found:
        console.fail(f"{id!r} is neither a policy nor a control; `eventctl policy list` names them", code=2)
    if as_json:
        console.as_json(found)
        return
    for one in found:
        console.table(
            ("", ""), [[key, ", ".join(value) if isinstance(value, list) else str(value)] for key, value in one.items()]
        )


@app.command()
def coverage(as_json: _Json = False) -> None:
    """What of the catalogue is proved or waived; ends 1 on a gap."""
    found = covering.report()
    wrong = covering.gaps(found)
    if as_json:
        console.as_json(found)
    else:
        told = f"{found['covered']} covered by {found['policies']} policies, {found['waived']} waived"
        console.out.print(f"{found['rows']} rows: {told}")
    if wrong:
        console.fail("; ".join(wrong))


@app.command()
def check(
    stack: Annotated[str, typer.Option(help="Judge this stack's state, from the backend in use.")] = "",
    state: StateFile = None,
    pack: Annotated[str, typer.Option(help="Only by this pack.")] = "",
    form: Annotated[Format, typer.Option("--format", help="What to print.")] = Format.TABLE,
    as_json: _Json = False,
) -> None:
    """Judge a recorded state, by default that of production; ends 1 on a mandatory violation.

    Every exemption that is used is told.
    """
    if stack and state:
        console.fail("--stack and --state name two states: give one of them", code=2)
    rules = [rule for rules in _packs(pack).values() for rule in rules]
    everything = judge.resources(deployment(stack, state) if stack or state else record.read())
    try:
        findings = judge.judge(rules, everything)
    except exemptions.Refused as error:
        console.fail(f"cannot judge: {error}", code=2)
    excuses = exemptions.current()
    if as_json or form is Format.JSON:
        unused = [f"{one.policy} of {one.urn}" for one in excuses.unused()]
        console.as_json({"findings": [asdict(one) for one in findings], "unused": unused})
    elif form is Format.SARIF:
        print(formats.sarif(rules, findings))
    elif form is Format.JUNIT:
        print(formats.junit(rules, findings))
    else:
        _tell(findings, len(everything), len(rules), excuses)
    if any(one.level == "mandatory" and not one.excused for one in findings):
        raise typer.Exit(1)


def _tell(findings: list[judge.Finding], count: int, judged: int, excuses: exemptions.Exemptions) -> None:
    wrong = [one for one in findings if not one.excused]
    rows = [[one.policy, one.level, one.urn.rsplit("::", 1)[-1], one.excused or one.message] for one in findings]
    console.table(("policy", "level", "resource", "what"), rows)
    for one in excuses.expired():
        console.err.print(f"expired: {one.policy} of {one.urn}, {one.expires}: {one.owner} mends the resource")
    for one in excuses.unused():
        console.err.print(f"unused: {one.policy} of {one.urn}: {one.owner} removes it")
    told = f"{len(wrong)} violations, {len(findings) - len(wrong)} excused"
    console.out.print(f"{count} resources, {judged} policies: {told}")


def _packs(pack: str) -> Mapping[str, Sequence[Rule]]:
    """The pack of that name, or all of them."""
    if pack and pack not in PACKS:
        console.fail(f"pack {pack!r} is not one of {', '.join(PACKS)}", code=2)
    return {pack: PACKS[pack]} if pack else PACKS


def _about(pack: str, rule: Rule) -> dict[str, Any]:
    return {
        "policy": rule.name,
        "pack": pack,
        "title": rule.control.title,
        "severity": rule.control.severity,
        "level": policy_catalogue.level(rule),
        "controls": list(rule.ids),
    }


def _details(rule: Rule) -> dict[str, Any]:
    return {
        "types": list(rule.types),
        "asks": [f"{key}: {entries()[key].how}" for key in rule.ids],
        "remedy": rule.remedy,
        "link": rule.control.link,
        "exemptible": rule.name not in exemptions.NONE_ALLOWED,
    }
