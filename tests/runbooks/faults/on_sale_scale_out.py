"""A day on which a sale opens: an API and a worker that are scaled, a relay that is not, and a group of nodes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from runbooks.on_sale_scale_out import OnSaleScaleOut
from tests.runbooks.bench import Bench
from tests.runbooks.clusters import Workloads, once
from tests.runbooks.environment import Environment
from tests.runbooks.faults import Fault
from tests.runbooks.groups import ZONES, Group

EVERYDAY = {"booking-api": 3, "booking-worker": 3, "booking-relay": 2}
SALE = {"booking-api": 6, "booking-worker": 6, "booking-relay": 2}


@dataclass
class Stage:
    """What a sale is prepared on; the account may run ``vcpus``."""

    workloads: Workloads
    group: Group
    vcpus: float = 64

    def __post_init__(self) -> None:
        self.workloads.environment.answers["servicequotas:GetServiceQuota"] = lambda asked: {
            "Quota": {**asked, "Value": self.vcpus}
        }
        self.workloads.autoscaler("booking-api", 3, 20)
        self.workloads.scaled_object("booking-worker", 3, 20)
        self.workloads.deployment("booking-relay", 2)
        self.workloads.come_up()

    def numbers(self) -> tuple[dict[str, int], tuple[int, int]]:
        """How many pods there are at least, and nodes at least and desired."""
        return self.workloads.least(), self.group.sizes

    def come_up(self) -> None:
        """What autoscalers, the scheduler and EC2 do."""
        for zone in ZONES:
            self.group.join(zone)
        self.workloads.come_up()


@pytest.fixture
def stage(workloads: Workloads, group: Group) -> Stage:
    return Stage(workloads, group)


@pytest.fixture
def on_sale_scale_out(environment: Environment, stage: Stage, tmp_path: Path) -> Iterator[Fault]:
    def ready() -> bool:
        return stage.numbers() == (SALE, (6, 6))

    with once(ready, stage.come_up):
        yield Fault(Bench(OnSaleScaleOut(by=2, patience=20), environment, tmp_path), state=stage.numbers, mended=ready)
