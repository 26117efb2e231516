"""policies/CATALOGUE.md, the catalogue and the packs say the same; nothing of the catalogue is left out in silence."""

from __future__ import annotations

import json
import re

from pulumi_aws import rds, sqs

from policies.catalogue import entries, waivers
from policies.kit import token
from policies.packs import RULES
from scripts import policy_catalogue
from scripts.policy import coverage
from tests.conformance.runbook_names import ROOT


def test_the_catalogue_document_is_what_the_packs_say() -> None:
    assert policy_catalogue.DOCUMENT.read_text() == policy_catalogue.document(), "python -m scripts.policy_catalogue"


def test_every_row_has_a_policy_or_a_waiver_and_every_type_exists() -> None:
    found = coverage.report()
    assert coverage.gaps(found) == []
    assert found["rows"] == found["covered"] + found["waived"] == 267


def test_a_waiver_gives_a_reason() -> None:
    assert all(len(reason) > 30 for reason in waivers().values())


def test_a_type_that_no_sdk_has_is_found() -> None:
    assert not coverage.exists("aws:rds/instanc:Instance")
    assert not coverage.exists("aws:rds/instance:Instanze")
    assert not coverage.exists("kubernetes:apps/v1:Deploy")


def test_tokens_are_those_of_the_sdk() -> None:
    names = {kind for rule in RULES for kind in rule.types}
    assert {token(rds.Instance), token(sqs.Queue)} <= names


def test_gaps_are_told_in_words() -> None:
    wrong = coverage.gaps({"missing": ["FSBP X.1"], "unmatched": ["a"], "unknown_types": ["aws:b"], "stale": ["c"]})
    assert "FSBP X.1 has neither a policy nor a waiver" in wrong
    assert len(wrong) == 4


def test_the_document_names_policies_that_exist() -> None:
    document = (ROOT / "docs" / "policies.md").read_text()
    listed = re.findall(r"^\| `([a-z0-9-]+)` \|", document, re.MULTILINE)
    assert listed
    assert set(listed) <= {rule.name for rule in RULES}


def test_every_page_is_named_and_every_severity_is_known() -> None:
    for entry in entries().values():
        assert entry.link.startswith("https://"), entry.key
        assert entry.severity in ("low", "medium", "high", "critical"), entry.key


def test_production_makes_mandatory_what_is_advisory_elsewhere() -> None:
    levels = json.loads((ROOT / "policies" / "levels" / "prod.json").read_text())
    assert levels == {rule.name: "mandatory" for rule in RULES if rule.resilience}
