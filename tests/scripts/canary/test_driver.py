"""The steps of a canary, with a balancer, a cluster and figures that do what a test says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest

from components.canary_spec import CANARY, STABLE, shares
from scripts.canary.driver import Driver, Outcome
from scripts.canary.lease import Lease, State
from scripts.canary.verdict import Figures
from stacks.objectives import canary_spec
from tests.scripts.canary.test_lease import NAME, STATE
from tests.support.aws import mocked_aws

WELL = Figures(requests=500, p90=0.01, p99=0.02)


class Route:
    """The rule, and whether targets are healthy."""

    def __init__(self, said: list[str]) -> None:
        self.said, self.now = said, shares(0)

    def weights(self) -> Mapping[str, int]:
        return self.now

    def share(self, canary: int) -> Mapping[str, int]:
        self.now = shares(canary)
        self.said.append(f"canary {canary}")
        return self.now

    def stable_alone(self) -> None:
        self.now = {STABLE: 1}
        self.said.append("stable alone")

    def healthy(self, _: str) -> tuple[int, int]:
        return 9, 9


class Pods:
    """The Deployments."""

    def __init__(self, said: list[str]) -> None:
        self._said = said

    def replicas(self) -> int:
        return 4

    def gone(self) -> bool:
        return True

    def create(self, digest: str) -> None:
        self._said.append(f"create {digest}")

    def scale(self, replicas: int) -> None:
        self._said.append(f"scale {replicas}")

    def delete(self) -> None:
        self._said.append("delete")


class World:
    """A driver and what it did, in order."""

    def __init__(self, ssm: Any) -> None:
        self.did: list[str] = []
        self.heard: list[str] = []
        self.route, self.lease = Route(self.did), Lease(ssm, NAME, "dev", timedelta(seconds=60))
        self.canary: Callable[[], Figures] = lambda: WELL

    def run(self, **changes: Any) -> tuple[Outcome, str]:
        steps = ((50, 60), (500, 60))
        state: State = self.lease.take(replace(STATE, **{"steps": steps, "pace": 6000.0, "deadline": 60.0, **changes}))
        made = Driver(
            canary_spec("booking"),
            lease=self.lease,
            route=self.route,  # type: ignore[arg-type]
            pods=Pods(self.did),  # type: ignore[arg-type]
            figures=self._figures,
            release=lambda digest, _: self.did.append(f"release {digest}"),
            audit=lambda event, **_: self.heard.append(event),
            say=lambda _: None,
            ttl=timedelta(seconds=60),
        )
        return made.run(state)

    def _figures(self, _: datetime) -> Mapping[str, Figures]:
        return {CANARY: self.canary(), STABLE: WELL}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr("scripts.canary.driver.time.sleep", lambda _: None)
    with mocked_aws():
        ssm = boto3.client("ssm", region_name="eu-west-3")
        ssm.put_parameter(Name=NAME, Value='{"ended": "never started"}', Type="String")
        yield World(ssm)


def test_a_good_canary_goes_up_step_by_step_is_released_and_leaves_nothing(world: World) -> None:
    assert world.run()[0] is Outcome.PROMOTED
    assert world.did == [
        *("canary 0", "delete", "create sha256:new"),
        *("scale 1", "canary 50", "scale 2", "canary 500"),
        *("scale 4", "canary 999", "release sha256:new", "stable alone", "delete"),
    ]
    assert world.heard == ["prepared", "step", "passed", "step", "passed", "promoting", "promoted"]
    assert world.lease.state() is None


def test_a_bad_canary_is_taken_back_to_one_group_before_its_pods_go(world: World) -> None:
    world.canary = lambda: replace(WELL, errors=50)
    outcome, why = world.run()
    assert outcome is Outcome.TAKEN_BACK
    assert "10.00 %" in why
    assert world.did[-3:] == ["canary 50", "stable alone", "delete"]
    assert "errors" in world.lease.text()


def test_a_canary_without_requests_waits_and_is_taken_back_at_its_deadline(world: World) -> None:
    world.canary = Figures
    outcome, why = world.run()
    assert (outcome, why.startswith("nothing to judge by")) == (Outcome.TAKEN_BACK, True)


def test_a_rule_that_somebody_changed_stays_as_they_left_it(world: World) -> None:
    def figures() -> Figures:
        world.route.now = {STABLE: 1}
        return replace(WELL, requests=0)

    world.canary = figures
    outcome, why = world.run(deadline=1e9)
    assert outcome is Outcome.TAKEN_BACK
    assert why.startswith("the rule has weights {'stable': 1}")
    assert "release sha256:new" not in world.did


def test_a_canary_that_goes_on_elsewhere_is_left_alone(world: World) -> None:
    def figures() -> Figures:
        state = world.lease.state()
        assert state is not None
        world.lease.take(state)
        world.route.now = shares(1)
        return replace(WELL, requests=0)

    world.canary = figures
    assert world.run(deadline=1e9)[0] is Outcome.LEFT
    assert "stable alone" not in world.did


def test_a_wish_to_promote_leaves_out_the_steps_that_are_left(world: World) -> None:
    world.lease.wish("promote")
    world.canary = Figures
    assert world.run()[0] is Outcome.PROMOTED
    assert "canary 500" not in world.did


def test_a_canary_that_another_machine_left_goes_on_at_its_step(world: World) -> None:
    assert world.run(step=1)[0] is Outcome.PROMOTED
    assert world.did[:2] == ["scale 2", "canary 500"]
    assert not any(each.startswith("create") for each in world.did)
