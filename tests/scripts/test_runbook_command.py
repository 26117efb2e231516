"""`eventctl runbook`: what it lists and shows, what it passes on, and what a shell completes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scripts.cli import app
from scripts.deployment import ROOT
from scripts.local.platform.layout import Layout
from tests.conformance.runbook_names import all_named

RUN = CliRunner()


def run(*arguments: str, code: int = 0) -> str:
    """What the command prints; it must end with ``code``."""
    done = RUN.invoke(app, ["runbook", *arguments])
    assert done.exit_code == code, done.output
    return done.stdout if code == 0 else done.output


def completed(line: str) -> list[str]:
    """What bash completes ``line`` to."""
    program = "import sys; from scripts.cli import app; app(prog_name='eventctl')"
    words = line.split(" ")
    asked = {"_EVENTCTL_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **asked},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.split()


def test_every_runbook_is_listed_with_the_alarms_that_lead_to_it() -> None:
    listed = {each["name"]: each for each in json.loads(run("list", "--json"))}
    assert set(listed) == all_named()
    letters = listed["dead_letter_redrive"]
    assert letters["meaning"] == "A command or an event could not be worked on"
    assert (letters["severity"], letters["acts"]) == ("page", True)
    assert "saga-booking-dead-letters" in letters["alarms"]
    assert all(each["alarms"] and each["severity"] in ("page", "ticket") for each in listed.values())


def test_people_get_a_table() -> None:
    assert "A secret did not rotate" in run("list")


def test_a_document_is_shown_whole_or_by_its_sections() -> None:
    assert "Out of scope" in run("show", "zone_loss")
    told = json.loads(run("show", "zone_loss", "--json"))
    assert next(iter(told["sections"])) == "Meaning"
    assert told["sections"]["Escalate"]


def test_a_runbook_that_there_is_not_is_refused_with_those_that_exist() -> None:
    assert "there is no runbook 'zone_los'; runbooks are analytics_unavailable," in " ".join(
        run("show", "zone_los", code=2).split()
    )


def test_a_script_is_run_with_its_own_options(monkeypatch: pytest.MonkeyPatch) -> None:
    told = run("run", "database_connections_exhausted", "--service", "booking", "--environment", "prod", "--apply",
               "--json", code=2)  # fmt: skip
    assert json.loads(told)["outcome"].startswith("--apply needs --confirm ID")


def test_a_runbook_without_a_script_cannot_be_run() -> None:
    assert "No such command 'edge_errors'" in run("run", "edge_errors", code=2)


def test_local_needs_a_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Layout, "default", lambda: Layout(tmp_path))
    assert "there is no platform; start it with `make up`" in run("run", "dead_letter_redrive", "--local", code=2)


def test_a_shell_completes_the_names_and_the_options() -> None:
    assert completed("eventctl runbook show zone") == ["zone_loss"]
    assert "--park-returned" in completed("eventctl runbook run dead_letter_redrive --pa")
