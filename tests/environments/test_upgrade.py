"""From what runs to today's program: the record of production stands for what runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scripts import guard, record
from scripts.deployment import Step
from scripts.local import rehearsal
from scripts.local.stack import Stack
from scripts.state import State
from scripts.toolchain import pulumi
from tests.environments.conftest import quiet

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    engine = pulumi.find()
    assert engine is not None, "no Pulumi engine: run `make setup`"
    with rehearsal.rehearsing("prod", tmp_path_factory.mktemp("upgrade"), engine, quiet) as stack:
        stack.restore(record.importable(record.read()))
        yield stack


def test_the_record_is_known_as_what_runs(running: Stack) -> None:
    recorded = State(record.importable(record.read()))
    assert set(State(running.export()).by_urn) == set(recorded.by_urn)
    assert {one.type for one in recorded.resources} >= guard.STATEFUL - {"aws:cloudfront/distribution:Distribution"}


def test_an_update_to_todays_program_replaces_and_removes_nothing_that_holds_data(running: Stack) -> None:
    stateful = {one.urn for one in State(running.export()).resources if one.type in guard.STATEFUL}
    steps: list[Step] = list(guard.plan(running, quiet, allowed=[]).steps)
    lost = [step for step in steps if step.urn in stateful and step.operation not in ("update", "refresh")]
    assert not lost
