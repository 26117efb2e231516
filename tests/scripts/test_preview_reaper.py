"""Which previews go, which stay and what is for a person: decided from what is there, the same dry and for real."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import httpx
import pytest

from scripts.github.pull_requests import API, NoAnswer, PullRequests
from scripts.previews.reaper import Action, Kind, Sight, plan
from scripts.previews.records import Full, Record, Records, State
from stacks.preview import PLACES
from tests.support.aws import mocked_aws

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def record(name: str, *, hours_ago: float = 1, **more: Any) -> Record:
    """One that is up and may stay for a day after its last use."""
    used = NOW - timedelta(hours=hours_ago)
    given = {"place": 0, "who": "somebody", "created": used, "active": used, "hours": 24, "state": State.UP, **more}
    return Record(name=name, **given)


def seen(*records: Record, **more: Any) -> Sight:
    """What there is, when each record has its stack."""
    given = {"stacks": {each.name for each in records}, "tagged": {}, "open": None, **more}
    return Sight(records=records, **given)


def decided(sight: Sight, most: int = 10) -> list[tuple[str, str]]:
    return [(action.kind.value, action.name) for action in plan(sight, now=NOW, most=most)]


def test_time_counts_from_the_last_use() -> None:
    assert decided(seen(record("pr-1", hours_ago=25), record("pr-2", hours_ago=23))) == [("down", "pr-1")]


def test_a_closed_pull_request_takes_its_preview_along() -> None:
    ours = (record("pr-1", pull_request=1), record("pr-2", pull_request=2), record("of-somebody"))
    assert decided(seen(*ours, open={2})) == [("down", "pr-1")]
    assert decided(seen(*ours, open=None)) == []


def test_what_is_kept_stays_whatever_happens() -> None:
    kept = record("pr-1", hours_ago=900, pull_request=1, kept=True)
    assert decided(seen(kept, open=set()), most=1) == []


def test_beyond_the_most_those_go_that_nobody_used_for_longest() -> None:
    ours = [record(f"pr-{hours}", hours_ago=hours) for hours in (1, 5, 3, 4)]
    assert decided(seen(*ours, record("kept", hours_ago=20, kept=True)), most=3) == [("down", "pr-5"), ("down", "pr-4")]


def test_one_whose_destroy_failed_is_told_and_never_taken_down() -> None:
    stuck = record("pr-1", hours_ago=900, pull_request=1, state=State.STUCK, reason="the broker is away")
    [action] = plan(seen(stuck, open=set()), now=NOW, most=1)
    assert (action.kind, action.name) == (Kind.TOLD, "pr-1")
    assert action.why.startswith("its destroy failed: the broker is away; once that is mended")


def test_what_belongs_to_no_preview_is_told() -> None:
    making = record("pr-1", hours_ago=0.1, state=State.MAKING)
    lost = record("pr-2", hours_ago=2)
    sight = seen(making, lost, stacks={"pr-3"}, tagged={"pr-1": 3, "pr-4": 7})
    assert plan(sight, now=NOW, most=9) == [
        Action(Kind.TOLD, "pr-2", "a record without a stack"),
        Action(Kind.TOLD, "pr-3", "a stack without a record"),
        Action(Kind.TOLD, "pr-4", "7 resources have its tag, and it has no stack"),
    ]


@pytest.fixture
def records() -> Iterator[Records]:
    with mocked_aws():
        yield Records(boto3.client("ssm", region_name="eu-west-3"), "dev")


def claim(records: Records, name: str) -> Record:
    return records.claim(name, who="somebody", hours=8, pull_request=None, kept=False)


def test_each_preview_has_a_place_of_its_own_and_keeps_it(records: Records) -> None:
    assert [claim(records, name).place for name in ("pr-1", "pr-2", "pr-1")] == [0, 1, 0]
    first = records.find("pr-1")
    assert first is not None
    records.remove(first)
    assert claim(records, "pr-3").place == 0


def test_no_two_previews_get_one_place_when_they_are_made_at_once(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim(records, "pr-1")
    # The other one has not been there yet when this one looked.
    with monkeypatch.context() as patch:
        answers: Iterator[list[Record]] = iter([[]])
        real = records.all
        patch.setattr(records, "all", lambda: next(answers, None) or real())
        assert claim(records, "pr-2").place == 1


def test_a_preview_too_many_is_refused_with_those_that_there_are(records: Records) -> None:
    for number in range(PLACES):
        claim(records, f"pr-{number}")
    with pytest.raises(Full, match=r"all 16 places for previews are taken \(pr-0, pr-1"):
        claim(records, "one-more")


@pytest.mark.parametrize("name", ["PR-12", "pr_12", "-pr", "x" * 21, "a.b", ""])
def test_a_name_that_would_not_fit_everywhere_is_refused(records: Records, name: str) -> None:
    with pytest.raises(ValueError, match="no name for a preview"):
        claim(records, name)
    assert records.all() == []


def test_every_page_of_open_pull_requests_is_read() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["Authorization"] == "Bearer token"
        if request.url.params.get("page") == "2":
            return httpx.Response(200, json=[{"number": 13}])
        following = f'<{API}/repos/a/b/pulls?page=2>; rel="next"'
        return httpx.Response(200, json=[{"number": 12}], headers={"Link": following})

    assert PullRequests("a/b", "token", transport=httpx.MockTransport(answer)).open() == {12, 13}


def test_a_page_that_is_missing_closes_no_pull_request() -> None:
    away = httpx.MockTransport(lambda _: httpx.Response(502))
    with pytest.raises(NoAnswer, match="502"):
        PullRequests("a/b", "token", transport=away).open()
