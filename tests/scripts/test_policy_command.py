"""`eventctl policy`: what it prints and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from policies.packs import RULES
from scripts.cli import app

RUN = CliRunner()


def run(*arguments: str, code: int = 0) -> str:
    """What the command prints; it must end with ``code``."""
    done = RUN.invoke(app, ["policy", *arguments])
    assert done.exit_code == code, done.output
    return done.stdout


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A state with one database that everybody can reach."""
    kind = "aws:rds/instance:Instance"
    one = {"urn": f"urn:pulumi:dev::p::{kind}::it", "type": kind, "inputs": {"publiclyAccessible": True}}
    file = tmp_path / "state.json"
    file.write_text(json.dumps({"deployment": {"resources": [one]}}))
    return file


def test_every_policy_is_listed() -> None:
    assert [one["policy"] for one in json.loads(run("list", "--json"))] == [rule.name for rule in RULES]


def test_an_unknown_pack_is_refused() -> None:
    run("list", "--pack", "nothing", code=2)


@pytest.mark.parametrize("name", ["database-private", "FSBP RDS.2"])
def test_a_policy_is_explained_by_its_name_and_by_its_control(name: str) -> None:
    (one,) = json.loads(run("explain", name, "--json"))
    assert one["policy"] == "database-private"
    assert one["exemptible"] is False
    assert one["link"].endswith("rds-controls.html#rds-2")


def test_a_waiver_is_explained_with_its_reason() -> None:
    (one,) = json.loads(run("explain", "FSBP S3.9", "--json"))
    assert one["waived"]


def test_what_nobody_knows_is_refused() -> None:
    run("explain", "nothing", code=2)


def test_coverage_is_whole() -> None:
    found = json.loads(run("coverage", "--json"))
    assert found["rows"] == 267
    assert found["missing"] == []


def test_the_recorded_production_passes_and_every_excuse_is_told() -> None:
    found = json.loads(run("check", "--json"))["findings"]
    assert found
    assert all(one["excused"] for one in found)
    assert "0 violations" in run("check")


def test_a_violation_ends_the_check_and_is_told_in_every_format(broken: Path) -> None:
    def told(form: str) -> str:
        return run("check", "--state", str(broken), "--format", form, code=1)

    assert "database-private" in told("table")
    result: dict[str, Any] = next(
        one for one in json.loads(told("sarif"))["runs"][0]["results"] if one["ruleId"] == "database-private"
    )
    assert result["level"] == "error"
    suite = ElementTree.fromstring(told("junit"))
    (failure,) = suite.findall("testcase[@name='database-private']/failure")
    assert "publiclyAccessible is True, it must be false" in failure.attrib["message"]


def test_a_stack_and_a_file_at_once_are_refused(broken: Path) -> None:
    run("check", "--stack", "dev", "--state", str(broken), code=2)


def test_a_file_that_is_no_state_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    file.write_text("[]")
    run("check", "--state", str(file), code=2)


def test_one_pack_alone_may_judge(broken: Path) -> None:
    run("check", "--state", str(broken), "--pack", "data-protection", code=1)
    assert "0 violations" in run("check", "--state", str(broken), "--pack", "kubernetes")
    run("check", "--pack", "nothing", code=2)
