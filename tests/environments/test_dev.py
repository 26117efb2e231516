"""Dev whole, on the simulated cloud: the same shape as production, smaller, and gone without a step in between."""

from __future__ import annotations

import pytest

from scripts.local import rehearsal
from tests.environments.conftest import Made, quiet

pytestmark = [pytest.mark.xdist_group("dev"), pytest.mark.timeout(600)]


def test_dev_is_made_and_made_again_without_a_change(dev: Made) -> None:
    assert set(dev.changes) == {"create"}
    assert set(dev.stack.up(quiet)) == {"same"}


def test_dev_has_one_node_of_everything_and_nothing_is_protected(dev: Made) -> None:
    program = dev.program
    assert not [one.name for one in program.resources if one.protect]
    assert not any(one["multiAz"] for one in program.all("aws:rds/instance:Instance"))
    assert {one["numCacheClusters"] for one in program.all("aws:elasticache/replicationGroup:ReplicationGroup")} == {1}


def test_dev_is_removed_without_a_trace(dev: Made) -> None:
    dev.stack.destroy(quiet)
    assert dev.stack.export().get("resources", []) == []
    assert rehearsal.left_over(dev.stack) == []
