"""What every runbook promises, tried on each with the fault that it is for injected into real servers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runbooks import _kit as kit
from runbooks._kit.engine import Report
from runbooks._kit.model import Exit
from runbooks._kit.target import AWS
from scripts.deployment import ROOT
from tests.runbooks.bench import TERMS, outcomes
from tests.runbooks.faults import Fault

RUNBOOKS = sorted(path.stem for path in (ROOT / "runbooks").glob("[a-z]*.py"))


@pytest.fixture(params=RUNBOOKS)
def fault(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def test_a_dry_run_changes_nothing_nor_does_what_is_refused(fault: Fault) -> None:
    before = fault.state(), fault.bench.environment.parameters()
    report = fault.bench.engine().dry_run()
    assert len(report.actions) > 1
    with pytest.raises(kit.Refused, match="--account says 999999999999"):
        fault.bench.environment.target(account="999999999999")
    with pytest.raises(kit.Refused, match="has the id 'never-shown'"):
        fault.bench.applied("never-shown")
    assert (fault.state(), fault.bench.environment.parameters()) == before


def test_apply_mends_the_fault_with_a_whole_audit_and_a_second_time_does_nothing(fault: Fault) -> None:
    plan = fault.bench.planned()
    report = fault.bench.applied(plan)
    assert (report.exit, report.outcome) == (Exit.DONE, "all is well")
    assert fault.mended()
    _holds_a_whole_audit_and_no_secret(fault, report, plan)
    before = fault.state()
    again = fault.bench.applied(plan)
    assert again.exit is Exit.DONE
    assert fault.state() == before
    assert fault.bench.engine().dry_run().actions == []


def _holds_a_whole_audit_and_no_secret(fault: Fault, report: Report, plan: str) -> None:
    lines = fault.bench.audit(plan)
    for action in report.actions:
        events = [line["event"] for line in lines if line.get("action") == action["id"]]
        assert events == ["started", "done"]
    for line in lines:
        assert line["who"]
        assert line["ticket"] == "OPS-1"
    for file in ("audit.jsonl", "plan.json"):
        text = (Path(report.evidence) / file).read_text()
        assert [secret for secret in fault.secrets if secret in text] == []


def test_interrupted_half_way_and_run_again_it_ends_well(fault: Fault) -> None:
    plan = fault.bench.planned()
    first = fault.bench.interrupted(plan)
    assert first.exit is Exit.PARTIAL
    assert sorted(outcomes(first).values())[:2] == ["done", "left"]
    assert not fault.mended()
    assert fault.bench.applied(plan).exit is Exit.DONE
    assert fault.mended()
    done = [line["action"] for line in fault.bench.audit(plan) if line["event"] == "done"]
    assert len(done) == len(set(done)) == len(first.actions)


def test_it_asks_of_aws_what_it_says_that_it_needs_and_nothing_else(fault: Fault) -> None:
    environment = fault.bench.environment
    environment.asked.clear()
    plan = fault.bench.planned()
    fault.bench.applied(plan)
    fault.bench.engine().rollback(plan, TERMS)
    # Not every one opens a login or looks into the cluster, and here Alertmanager has an address of its own.
    asked = {*environment.asked, "secretsmanager:GetSecretValue", "eks:DescribeCluster"}
    assert asked == {*AWS, *fault.bench.runbook.aws}
