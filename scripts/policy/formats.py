"""Findings as other tools read them: SARIF for code scanning, JUnit for pipelines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

from policies.kit import Rule
from scripts.policy.judge import Finding

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(rules: Sequence[Rule], findings: Sequence[Finding]) -> str:
    """SARIF 2.1.0; what is excused is a result that is suppressed."""
    driver = {"name": "policies", "rules": [_rule(one) for one in rules]}
    run = {"tool": {"driver": driver}, "results": [_result(one) for one in findings]}
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def junit(rules: Sequence[Rule], findings: Sequence[Finding]) -> str:
    """One case for each rule; it fails by its mandatory violations."""
    failed = {one.policy for one in findings if not one.excused}
    suite = ElementTree.Element("testsuite", name="policies", tests=str(len(rules)), failures=str(len(failed)))
    for rule in rules:
        case = ElementTree.SubElement(suite, "testcase", classname="policies", name=rule.name)
        for one in findings:
            if one.policy == rule.name and not one.excused:
                ElementTree.SubElement(case, "failure", message=one.message, type=one.severity).text = one.urn
    return ElementTree.tostring(suite, encoding="unicode")


def _rule(one: Rule) -> dict[str, Any]:
    return {
        "id": one.name,
        "shortDescription": {"text": one.control.title},
        "helpUri": one.control.link,
        "help": {"text": one.remedy},
        "properties": {"tags": list(one.ids), "severity": one.control.severity},
    }


def _result(one: Finding) -> dict[str, Any]:
    suppressed = {"suppressions": [{"kind": "external", "justification": one.excused}]} if one.excused else {}
    return {
        "ruleId": one.policy,
        "level": "error" if one.level == "mandatory" else "warning",
        "message": {"text": one.message},
        "locations": [{"logicalLocations": [{"fullyQualifiedName": one.urn, "kind": "resource"}]}],
        **suppressed,
    }
