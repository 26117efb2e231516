"""One canary at a time, held by one process, from whichever machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from components.functions import canary_rollback
from runbooks._kit import lock
from runbooks._kit.model import Refused
from scripts.canary.lease import Lease, Lost, State
from tests.support.aws import mocked_aws

NAME = "/dev/booking-canary/lease"
STATE = State(
    run="1",
    holder="",
    who="a@here",
    service="booking",
    image="sha256:new",
    stable="sha256:old",
    began="2026-11-28T12:00:00+00:00",
    steps=((50, 60), (500, 60)),
    pace=1.0,
    deadline=1800.0,
)


@pytest.fixture
def ssm() -> Iterator[Any]:
    with mocked_aws():
        client = boto3.client("ssm", region_name="eu-west-3")
        client.put_parameter(Name=NAME, Value='{"ended": "never started"}', Type="String")
        yield client


def lease(ssm: Any, seconds: float = 60) -> Lease:
    return Lease(ssm, NAME, "dev", timedelta(seconds=seconds))


def test_a_lease_is_held_until_then_by_the_word_of_the_function_that_takes_canaries_back(ssm: Any) -> None:
    taken = lease(ssm).take(STATE)
    assert taken.held
    until = canary_rollback._held_until(ssm, NAME)
    assert until is not None
    assert until.isoformat() == taken.expires


def test_a_second_canary_is_refused_while_one_is_held_and_begins_once_it_is_not(ssm: Any) -> None:
    lease(ssm, seconds=-1).take(STATE)
    other = replace(STATE, run="2", who="b@there")
    lease(ssm).take(other)
    with pytest.raises(Refused, match="b@there runs a canary of booking with sha256:new"):
        lease(ssm).take(STATE)


def test_whoever_goes_on_elsewhere_has_it_and_the_first_hears_so(ssm: Any) -> None:
    first = lease(ssm).take(STATE)
    second = lease(ssm).take(replace(first, step=1))
    with pytest.raises(Lost, match="a@here goes on with it"):
        lease(ssm).hold(first)
    assert lease(ssm).hold(second).step == 1


def test_a_canary_that_the_function_took_back_is_lost_and_cannot_be_gone_on_with(ssm: Any) -> None:
    taken = lease(ssm).take(STATE)
    ssm.put_parameter(Name=NAME, Value=json.dumps({"ended": "now", "why": "alarm"}), Overwrite=True)
    with pytest.raises(Lost, match="alarm"):
        lease(ssm).hold(taken)
    assert lease(ssm).state() is None


def test_nobody_starts_a_canary_while_the_runbook_that_ends_them_is_at_work(ssm: Any) -> None:
    until = datetime.now(UTC) + timedelta(minutes=5)
    with (
        lock.holding(ssm, "dev", "canary_abort", who="c@call", ticket="OPS-1", run="r", until=until),
        pytest.raises(Refused, match="c@call ends canaries"),
    ):
        lease(ssm).take(STATE)
    assert not lease(ssm).take(STATE).paused


def test_two_who_take_it_in_the_same_moment_do_not_both_have_it(ssm: Any) -> None:
    ssm.put_parameter(Name=f"{NAME}-claim", Value="taking", Type="String")
    with pytest.raises(Refused, match="somebody takes"):
        lease(ssm).take(STATE)


def test_a_wish_is_heard_once(ssm: Any) -> None:
    lease(ssm).wish("pause")
    lease(ssm).wish("promote")
    assert [lease(ssm).wished(), lease(ssm).wished()] == ["promote", ""]
