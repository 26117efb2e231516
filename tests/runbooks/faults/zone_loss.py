"""A zone whose machines were ended, one of the group and one that Karpenter bought."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runbooks.zone_loss import ZoneLoss
from tests.runbooks.bench import Bench
from tests.runbooks.clusters import once
from tests.runbooks.environment import Environment
from tests.runbooks.faults import Fault
from tests.runbooks.groups import ZONES, Group


@pytest.fixture
def zone_loss(environment: Environment, group: Group, tmp_path: Path) -> Iterator[Fault]:
    lost = {group.first[ZONES[0]], group.join(ZONES[0], group="")}
    for name in lost:
        group.end(name)

    # EC2's part: the group has another machine where there still is a zone.
    with once(lambda: group.sizes == (4, 4), lambda: group.join(ZONES[1])):
        yield Fault(
            Bench(ZoneLoss(patience=20), environment, tmp_path),
            state=lambda: (group.sizes, group.known()),
            mended=lambda: group.sizes == (4, 4) and not lost & group.known(),
        )
