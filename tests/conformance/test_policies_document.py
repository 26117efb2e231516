"""docs/policies.md lists the rules that the pack enforces."""

from __future__ import annotations

from pulumi_policy.policy import Policy

from policies.rules import compute, data
from tests.conformance.runbook_names import ROOT


def row(rule: Policy) -> str:
    """How the document lists a rule."""
    assert rule.tags
    assert rule.severity
    return f"| `{rule.name}` | {rule.display_name} | {', '.join(rule.tags)} | {rule.severity.value} |"


def test_the_table_of_rules_is_that_of_the_pack() -> None:
    document = (ROOT / "docs" / "policies.md").read_text()
    listed = [line for line in document.splitlines() if line.startswith("| `")]
    assert listed == [row(rule) for rule in (*data.RULES, *compute.RULES)]
