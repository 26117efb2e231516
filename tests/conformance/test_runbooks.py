"""Whoever is woken by an alarm finds its runbook, and in it what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from components.saga_definition import DECISIONS
from scripts.runbooks import acting
from stacks.processes import PROCESSES
from stacks.settings import ApplicationsSettings
from tests.conformance.runbook_names import ROOT, Unreadable, all_named, named

SECTIONS = ("Meaning", "Impact", "Out of scope", "Diagnosis", "Mitigation", "Verify", "Roll back", "Escalate")
DOCUMENTS = sorted((ROOT / "runbooks").glob("*.md"))
each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)


def test_every_runbook_that_an_alarm_names_exists() -> None:
    missing = all_named() - {path.stem for path in DOCUMENTS}
    assert not missing, f"alarms name runbooks that are not written: {sorted(missing)}"


def test_every_runbook_is_named_by_an_alarm() -> None:
    orphans = {path.stem for path in DOCUMENTS} - all_named()
    assert not orphans, f"no alarm leads to these runbooks: {sorted(orphans)}"


def test_every_runbook_that_any_source_or_document_mentions_exists() -> None:
    for folder in ("components", "stacks", "docs", "services", "scripts"):
        for path in [*(ROOT / folder).rglob("*.py"), *(ROOT / folder).rglob("*.md")]:
            for stem in re.findall(r"runbooks/(\w+)\.md", path.read_text()):
                assert (ROOT / "runbooks" / f"{stem}.md").exists(), f"{path.relative_to(ROOT)} names {stem}"


@each_document
def test_a_runbook_has_all_sections_in_order_each_with_something_in_it(document: Path) -> None:
    parts = re.split(r"^## (.+)$", document.read_text(), flags=re.MULTILINE)
    assert tuple(parts[1::2]) == SECTIONS
    for title, body in zip(parts[1::2], parts[2::2], strict=True):
        assert len(body.split()) >= 8, f"{title} says nothing"


@each_document
def test_a_runbook_leaves_nothing_to_be_done_later(document: Path) -> None:
    assert not re.search(r"\b(TODO|FIXME|TBD|XXX)\b", document.read_text())


@each_document
def test_a_runbook_can_be_typed_when_diagnosing_and_when_mitigating(document: Path) -> None:
    parts = re.split(r"^## (.+)$", document.read_text(), flags=re.MULTILINE)
    bodies = dict(zip(parts[1::2], parts[2::2], strict=True))
    command = re.compile(r"\b(aws|eventctl|kubectl|sql|rabbit|pulumi)\b")
    assert command.search(bodies["Diagnosis"])
    assert command.search(bodies["Mitigation"])


def test_every_script_has_a_document_and_a_fault_to_be_tried_on() -> None:
    assert acting()
    for name in acting():
        assert (ROOT / "runbooks" / f"{name}.md").exists(), f"runbooks/{name}.py has no document"
        assert (ROOT / "tests" / "runbooks" / "faults" / f"{name}.py").exists(), f"no fault is injected for {name}"


@pytest.mark.parametrize("name", acting())
def test_the_document_of_a_script_says_the_command_where_it_is_needed(name: str) -> None:
    parts = re.split(r"^## (.+)$", (ROOT / "runbooks" / f"{name}.md").read_text(), flags=re.MULTILINE)
    bodies = dict(zip(parts[1::2], parts[2::2], strict=True))
    for section, option in (("Diagnosis", ""), ("Mitigation", "--apply"), ("Verify", "--verify"),
                            ("Roll back", "--rollback")):  # fmt: skip
        said = [line for line in bodies[section].splitlines() if f"eventctl runbook run {name}" in line]
        assert any(option in line for line in said), f"{section} does not say `eventctl runbook run {name} {option}`"


@each_document
def test_workloads_that_a_runbook_names_exist(document: Path) -> None:
    workloads = {f"{service}-{entry.name}" for service, entries in PROCESSES.items() for entry in entries}
    workloads |= set(ApplicationsSettings.model_fields)
    for name in re.findall(r"deploy/([a-z-]+)\b(?![$-])", document.read_text()):
        assert name in workloads, f"{name} is no Deployment of this platform"


def test_the_runbook_of_parked_orders_offers_the_decisions_that_the_saga_knows() -> None:
    text = (ROOT / "runbooks" / "stuck_saga.md").read_text()
    assert set(re.findall(r"^(?:\|[^|]*){3}\| `(\w+)` \|", text, flags=re.MULTILINE)) == set(DECISIONS)


def test_a_runbook_named_by_a_literal_or_by_the_rows_of_a_loop_is_found() -> None:
    source = """
alarm("a", runbook="one")
for role, runbook in (("b", "two"), ("c", "three")):
    alarm(role, runbook=runbook)
"""
    assert list(named(source, "example.py")) == ["one", "two", "three"]


def test_a_runbook_that_is_an_argument_of_a_component_is_found_where_the_arguments_are_made() -> None:
    source = """
alarm("a", runbook=self._args.runbook)
FunctionArgs(runbook="one")
"""
    assert list(named(source, "example.py")) == ["one"]


@pytest.mark.parametrize("call", ['alarm("a")', 'alarm("a", runbook=chosen())', 'alarm("a", runbook=elsewhere)'])
def test_an_alarm_whose_runbook_cannot_be_read_is_an_error(call: str) -> None:
    with pytest.raises(Unreadable, match=r"example\.py:1"):
        list(named(call, "example.py"))
