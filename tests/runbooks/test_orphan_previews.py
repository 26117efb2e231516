"""What is left over of a preview and what is not, and that a record stays as long as the stores may keep something."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from runbooks import _kit as kit
from runbooks._kit.model import Exit
from runbooks.orphan_previews import OrphanPreviews
from scripts.previews.records import State
from tests.runbooks.bench import TERMS, Bench, outcomes
from tests.runbooks.faults.orphan_previews import Guests


@pytest.fixture
def bench(guests: Guests, tmp_path: Path) -> Bench:
    return Bench(OrphanPreviews(), guests.environment, tmp_path)


def shown(bench: Bench) -> dict[str, dict[str, Any]]:
    """The rows of the previews, by name."""
    return {row["preview"]: row for row in bench.engine().dry_run().findings[0]["rows"]}


def test_it_shows_each_preview_with_what_is_left_and_what_takes_it_away(guests: Guests, bench: Bench) -> None:
    up, gone, half = guests.create(), guests.orphan(), guests.create(State.STUCK, reason="a timeout")
    old, nameless = guests.orphan(State.BROKEN, minutes_ago=90), guests.create()
    record = guests.record(nameless)
    assert record is not None
    guests.records.remove(record)
    rows = shown(bench)
    told = {name: (row["state"], row["resources"], row["goes_by"]) for name, row in rows.items()}
    assert told == {
        up.preview: ("up", 3, None),
        gone.preview: ("stuck", 0, "this runbook"),
        half.preview: ("stuck", 3, f"eventctl preview down {half.preview} --apply"),
        old.preview: ("broken", 0, f"this runbook, with --preview {old.preview}"),
        nameless.preview: ("no record", 3, f"eventctl preview down {nameless.preview} --apply"),
    }
    assert rows[gone.preview]["left_over_because"] == "its destroy failed: the broker did not answer"
    assert rows[up.preview]["who"] == "an author"


def test_it_shows_what_became_of_the_functions_calls_of_two_hours(guests: Guests, bench: Bench) -> None:
    guests.measured("Invocations", 4)
    guests.measured("Errors", 2)
    guests.measured("Errors", 9, minutes_ago=150)
    assert bench.engine().dry_run().findings[1]["rows"] == [{"calls": 4, "errors": 2, "throttles": 0}]


def test_when_the_stores_do_not_give_it_up_the_record_stays_and_says_so(guests: Guests, bench: Bench) -> None:
    gone = guests.orphan()
    guests.break_broker()
    plan = bench.planned()
    report = bench.applied(plan)
    assert report.exit is Exit.FAILED
    assert report.outcome.endswith(f"the stores keep what they have of {gone.preview}: HTTP Error 401: Unauthorized")
    assert guests.record(gone) is not None
    guests.mend_broker()
    # PostgreSQL's part went with the first call.
    assert bench.applied(plan).exit is Exit.DONE
    assert guests.keeps(gone) == set()
    assert guests.record(gone) is None


def test_one_that_the_stores_gave_up_before_its_record_went_is_closed_all_the_same(
    guests: Guests, bench: Bench
) -> None:
    gone = guests.orphan()
    bench.applied()
    guests.records.claim(gone.preview, who="an author", hours=8, pull_request=None, kept=True)
    record = guests.record(gone)
    assert record is not None
    guests.records.write(record.with_(state=State.STUCK, reason="interrupted"))
    assert shown(bench)[gone.preview]["until"] == "kept"
    report = bench.applied()
    assert (report.exit, report.actions[0]["result"]) == (Exit.DONE, {"stores": {"keys": 0}})
    assert guests.record(gone) is None


def test_a_preview_that_still_has_resources_is_never_closed_but_by_its_own_command(
    guests: Guests, bench: Bench
) -> None:
    half = guests.create(State.STUCK, reason="a timeout")
    assert bench.engine().dry_run().actions == []
    with pytest.raises(kit.Refused, match=f"3 resources have the tag .* `eventctl preview down {half.preview} --apply"):
        bench.given(preview=[half.preview]).planned()
    report = bench.engine().verify()
    assert report.exit is Exit.FAILED
    assert (
        report.verified[0]["detail"] == f"its destroy failed: a timeout: eventctl preview down {half.preview} --apply"
    )
    assert (guests.calls, len(guests.keeps(half))) == (0, 5)


def test_a_record_that_has_nothing_else_for_an_hour_is_closed_by_name_alone(guests: Guests, bench: Bench) -> None:
    old, fresh = guests.orphan(State.MAKING, minutes_ago=61), guests.orphan(State.MAKING, minutes_ago=50)
    assert bench.engine().dry_run().actions == []
    with pytest.raises(kit.Refused, match=f"{fresh.preview} is making since .* by an author, and not left over"):
        bench.given(preview=[old.preview, fresh.preview]).planned()
    named = bench.given(preview=[old.preview])
    assert named.applied().exit is Exit.DONE
    assert guests.keeps(old) == set()
    assert guests.record(fresh) is not None


def test_a_run_by_name_that_was_cut_short_goes_on_with_the_same_names(guests: Guests, bench: Bench) -> None:
    names = [guests.orphan().preview for _ in range(2)]
    named = bench.given(preview=names)
    plan = named.planned()
    assert named.interrupted(plan).exit is Exit.PARTIAL
    assert named.applied(plan).exit is Exit.DONE
    assert guests.records.all() == []


def test_one_that_is_begun_anew_between_the_dry_run_and_the_apply_is_left(guests: Guests, bench: Bench) -> None:
    gone = guests.orphan()
    plan = bench.planned()
    guests.records.claim(gone.preview, who="another", hours=8, pull_request=None, kept=False)
    assert list(outcomes(bench.applied(plan)).values()) == ["nothing to do any more"]
    assert (guests.calls, len(guests.keeps(gone))) == (0, 5)


def test_one_whose_destroy_failed_again_since_the_dry_run_has_to_be_read_again(guests: Guests, bench: Bench) -> None:
    gone = guests.orphan()
    plan = bench.planned()
    record = guests.record(gone)
    assert record is not None
    guests.records.write(record.with_(active=datetime.now(UTC)))
    with pytest.raises(kit.Refused, match="is not what the dry run"):
        bench.applied(plan)
    assert guests.calls == 0


def test_one_that_is_begun_anew_while_the_stores_are_at_work_keeps_its_record(guests: Guests, bench: Bench) -> None:
    gone = guests.orphan()
    answers = guests.environment.answers
    function = answers["lambda:Invoke"]

    def begun_anew(asked: Any) -> Any:
        guests.records.claim(gone.preview, who="another", hours=8, pull_request=None, kept=False)
        return function(asked)

    answers["lambda:Invoke"] = begun_anew
    report = bench.applied()
    assert list(outcomes(report).values()) == ["left"]
    assert f"somebody is at work with {gone.preview}" in report.outcome
    record = guests.record(gone)
    assert record is not None
    assert record.who == "another"


def test_a_preview_that_nobody_knows_is_refused_with_those_that_there_are(guests: Guests, bench: Bench) -> None:
    with pytest.raises(kit.Refused, match=r"has nothing of pr-0: it is gone, or never was; there are no previews"):
        bench.given(preview=["pr-0"]).planned()
    known = guests.create()
    with pytest.raises(kit.Refused, match=f"there are {known.preview}"):
        bench.given(preview=["pr-0"]).planned()


@pytest.mark.parametrize("record", [{"tenantsFunction": ""}, {}], ids=["production", "an-older-record"])
def test_an_environment_that_takes_no_previews_is_refused(guests: Guests, bench: Bench, record: dict[str, str]) -> None:
    del guests.environment.record["tenantsFunction"]
    guests.environment.write(**record)
    with pytest.raises(kit.Refused, match="takes no previews: it is production, or was not made by this version yet"):
        bench.planned()
    with pytest.raises(kit.Refused, match="takes no previews"):
        bench.engine().verify()


def test_previews_of_another_environment_are_not_seen(guests: Guests, bench: Bench) -> None:
    guests.environment.aws("secretsmanager").create_secret(
        Name=f"{guests.environment.name}-2/previews/pr-7/booking-database",
        Tags=[{"Key": "Preview", "Value": "pr-7"}, {"Key": "Environment", "Value": f"{guests.environment.name}-2"}],
    )
    assert shown(bench) == {}
    assert bench.engine().verify().verified == [{"name": "no preview is left over", "ok": True, "detail": ""}]


def test_what_the_stores_gave_up_is_not_made_again_by_a_rollback(guests: Guests, bench: Bench) -> None:
    guests.orphan()
    plan = bench.planned()
    bench.applied(plan)
    report = bench.engine().rollback(plan, TERMS)
    assert report.outcome == "nothing to take back"
    assert "eventctl preview up" in report.actions[0]["no_undo"]
