"""Which deliveries go back to work, in which order, and what becomes of old marketing."""

from __future__ import annotations

import builtins
from pathlib import Path

import httpx
import pytest
from novu_py import models

from runbooks import _kit as kit
from runbooks._kit.model import Exit
from runbooks.notification_backlog import CATEGORIES, TECHNICAL, NotificationBacklog
from services.notification.workflows.model import Category
from tests.runbooks.bench import TERMS, Bench
from tests.runbooks.faults.notification_backlog import Deliveries


@pytest.fixture
def bench(deliveries: Deliveries, tmp_path: Path) -> Bench:
    return Bench(NotificationBacklog(), deliveries.environment, tmp_path)


def planned(bench: Bench) -> list[str]:
    """The deliveries that a dry run would change, in its order."""
    return [action["before"]["delivery"] for action in bench.engine().dry_run().actions]


def test_tickets_go_before_marketing_and_what_the_message_is_at_fault_for_stays(
    deliveries: Deliveries, bench: Bench
) -> None:
    deliveries.put("digest", "marketing", reason="ConnectError")
    deliveries.put("reminder", "reminders", reason="ReadTimeout")
    deliveries.put("poison", reason="UndefinedError")
    deliveries.put("ticket", reason="ErrorDto")
    assert planned(bench) == ["ticket", "reminder", "digest"]


def test_a_cause_that_was_mended_is_named(deliveries: Deliveries, bench: Bench) -> None:
    deliveries.put("poison", reason="UndefinedError")
    assert planned(bench.given(reason=["UndefinedError"])) == ["poison"]


def test_what_its_digest_gathered_goes_back_with_it(deliveries: Deliveries, bench: Bench) -> None:
    deliveries.put("digest", "marketing", reason="APIError")
    deliveries.put("member", "marketing", reason="APIError", of="digest")
    assert planned(bench) == ["digest"]
    assert bench.applied().exit is Exit.DONE
    assert deliveries.statuses == {"digest": "pending", "member": "pending"}


def test_a_run_takes_no_more_than_its_cap_and_says_what_is_left(deliveries: Deliveries, bench: Bench) -> None:
    for number in range(3):
        deliveries.put(f"ticket-{number}", reason="APIError")
    plan = bench.engine(cap=2).dry_run()
    assert (len(plan.actions), plan.left) == (2, 1)


def test_marketing_alone_is_expired_and_only_when_it_is_old(deliveries: Deliveries, bench: Bench) -> None:
    deliveries.put("old-ticket", "tickets", "pending", hours=72)
    deliveries.put("new", "marketing", "pending", hours=2)
    deliveries.put("old", "marketing", "pending", hours=72)
    assert planned(bench.given(expire_marketing=48)) == ["old"]
    assert planned(bench) == []


def test_less_than_a_digest_takes_is_refused(bench: Bench) -> None:
    with pytest.raises(kit.Refused, match="only due after 24 hours"):
        planned(bench.given(expire_marketing=5))


def test_a_rollback_brings_back_what_was_expired_and_nothing_else(deliveries: Deliveries, bench: Bench) -> None:
    deliveries.put("old", "marketing", "pending", hours=72)
    deliveries.put("member", "marketing", "pending", hours=70, of="old")
    deliveries.put("not-wanted", "marketing", "suppressed", reason="not wanted", hours=72)
    given = bench.given(expire_marketing=48)
    plan = given.planned()
    given.applied(plan)
    assert set(deliveries.statuses.values()) == {"suppressed"}
    assert given.engine().rollback(plan, TERMS).exit is Exit.DONE
    assert deliveries.statuses == {"old": "pending", "member": "pending", "not-wanted": "suppressed"}


def test_one_that_is_sent_meanwhile_is_not_expired(deliveries: Deliveries, bench: Bench) -> None:
    deliveries.put("old", "marketing", "pending", hours=72)
    given = bench.given(expire_marketing=48)
    plan = given.planned()
    deliveries.change("UPDATE deliveries SET status = 'sent'")
    assert [each["outcome"] for each in given.applied(plan).actions] == ["nothing to do any more"]
    assert deliveries.statuses == {"old": "sent"}


def test_a_ticket_that_is_due_for_long_is_told(deliveries: Deliveries, bench: Bench) -> None:
    deliveries.put("ticket", "tickets", "pending")
    deliveries.change("UPDATE deliveries SET due_at = now() - interval '1 hour'")
    report = bench.engine().verify()
    assert (report.exit, report.outcome) == (Exit.FAILED, "not all is well: no ticket is late")


def test_categories_and_technical_errors_are_those_of_the_service_and_its_libraries() -> None:
    assert [category.value for category in Category] == list(CATEGORIES)
    for name in TECHNICAL:
        assert any(hasattr(module, name) for module in (httpx, models, builtins)), name
