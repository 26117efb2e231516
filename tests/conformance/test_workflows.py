"""Pipelines do what people can do, with the least that it takes: read from the workflow files themselves."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from stacks import governance
from tests.conformance.test_repository import ROOT, check_command

FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTION = ROOT / ".github" / "actions" / "environment" / "action.yml"
each_workflow = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def jobs(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from yaml.safe_load(file.read_text())["jobs"].items()


def steps(file: Path) -> Iterator[dict[str, Any]]:
    for _, job in jobs(file):
        yield from job["steps"]


@each_workflow
def test_every_command_of_a_workflow_is_one_that_people_have(file: Path) -> None:
    for step in steps(file):
        for line in re.findall(r"\.venv/bin/eventctl ([^\n]+)", step.get("run", "")):
            # `${NAME:+--option}` is an option that may be left out.
            words = shlex.split(re.sub(r"\$\{\w+:\+(\S+)\}", r"\1", line).split(")")[0])
            check_command(words[: words.index(">")] if ">" in words else words)


@pytest.mark.parametrize("file", [*FILES, ACTION], ids=lambda file: file.stem)
def test_actions_of_others_are_pinned_by_digest_and_say_their_version(file: Path) -> None:
    used = re.findall(r"uses: (\S+)(.*)", file.read_text())
    assert used or file.stem == "check"
    for action, version in used:
        assert action.startswith("./") or re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), action
        assert action.startswith("./") or re.fullmatch(r" # v\d+\.\d+\.\d+", version), action


@each_workflow
def test_a_workflow_has_no_key_and_no_permission_but_those_of_its_jobs(file: Path) -> None:
    text = file.read_text()
    assert "secrets." not in text
    assert yaml.safe_load(text)["permissions"] in ({}, {"contents": "read"})


@each_workflow
def test_what_runs_the_code_of_a_pull_request_with_a_role_is_closed_to_forks(file: Path) -> None:
    said = yaml.safe_load(file.read_text())
    # YAML takes the key `on` for a truth value.
    if "pull_request" not in said[True]:
        return
    for name, job in jobs(file):
        if "id-token" in job.get("permissions", {}):
            assert "head.repo.full_name == github.repository" in job["if"], name


def test_the_roles_trust_the_environments_of_the_workflows_and_no_others() -> None:
    """GitHub names the environment of a job in its token: components/delivery.py."""
    used = {job["environment"] for file in FILES for _, job in jobs(file) if "environment" in job}
    assert used == {"dev", "prod", governance.PREVIEWS}


@each_workflow
def test_only_a_job_in_a_protected_environment_takes_a_role_that_changes_something(file: Path) -> None:
    for name, job in jobs(file):
        roles = [step["with"]["role"] for step in job["steps"] if "role" in step.get("with", {})]
        if any("APPLY_ROLE" in role for role in roles):
            assert "environment" in job, name
