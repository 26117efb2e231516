"""The history of releases: what Systems Manager remembers of the stack's parameter, and where a rollback leads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from components.release_record import parameter_name
from scripts.releases.history import NoRelease, history, to_go_back_to
from tests.support.aws import mocked_aws


@pytest.fixture
def ssm() -> Iterator[Any]:
    with mocked_aws():
        make: Any = boto3.client
        yield make("ssm", region_name="eu-west-3", aws_access_key_id="x", aws_secret_access_key="x")


def release(ssm: Any, booking: str, saga: str = "saga:1") -> None:
    """Say what the stack says after an update."""
    value = json.dumps({"images": {"booking": booking}, "saga": saga})
    ssm.put_parameter(Name=parameter_name("dev"), Value=value, Type="String", Overwrite=True)


def test_the_newest_release_is_the_first_of_the_list(ssm: Any) -> None:
    for booking in ("sha256:1", "sha256:2"):
        release(ssm, booking)
    assert [(each.number, each.images["booking"]) for each in history(ssm, "dev")] == [(2, "sha256:2"), (1, "sha256:1")]


def test_a_rollback_leads_to_the_newest_release_that_had_other_images(ssm: Any) -> None:
    for booking, saga in (("sha256:1", "saga:1"), ("sha256:2", "saga:1"), ("sha256:2", "saga:2")):
        release(ssm, booking, saga)
    releases = history(ssm, "dev")
    assert to_go_back_to(releases, None).number == 1
    assert to_go_back_to(releases, 1).number == 1


@pytest.mark.parametrize("number", [2, 9])
def test_what_runs_and_what_never_did_is_nothing_to_go_back_to(ssm: Any, number: int) -> None:
    for booking in ("sha256:1", "sha256:2"):
        release(ssm, booking)
    with pytest.raises(NoRelease, match=f"release {number} is not among .* those are: 1"):
        to_go_back_to(history(ssm, "dev"), number)


def test_an_environment_without_a_release_says_how_the_first_is_made(ssm: Any) -> None:
    with pytest.raises(NoRelease, match="eventctl up dev --apply"):
        history(ssm, "dev")
