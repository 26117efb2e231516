"""Refunds that two people want: what is refunded, what never is, and whose approval counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbooks import _kit as kit
from runbooks._kit.model import Exit
from runbooks.payment_reconciliation import PaymentReconciliation
from tests.runbooks.bench import TERMS, Bench
from tests.runbooks.faults.payment_reconciliation import BOB, Books


@pytest.fixture
def bench(books: Books, tmp_path: Path) -> Bench:
    return Bench(PaymentReconciliation(), books.environment, tmp_path)


def approve(bench: Bench) -> str:
    """Approve what is to be refunded; returns the run's id."""
    approving = bench.given(approve=True)
    plan = approving.planned()
    assert approving.applied(plan).exit is Exit.DONE
    return plan


def test_what_two_people_want_is_written_for_payments_own_loop(books: Books, bench: Bench) -> None:
    order = books.charge()
    approve(bench)
    plan = bench.planned()
    assert bench.applied(plan).exit is Exit.DONE
    assert books.refunds() == [{"order_id": order, "amount": 5_000, "status": "requested", "reason": "requested"}]
    [done] = [line for line in bench.audit(plan) if line["event"] == "done"]
    assert done["result"]["approved_by"] == BOB


def test_without_an_approval_nothing_is_refunded(books: Books, bench: Bench) -> None:
    books.charge()
    report = bench.applied()
    assert (report.exit, "nobody has approved" in report.outcome) == (Exit.FAILED, True)
    assert books.refunds() == []


def test_ones_own_approval_does_not_count(books: Books, bench: Bench) -> None:
    books.charge()
    approve(bench)
    books.approver = bench.environment.target().identity.who
    report = bench.applied()
    assert (report.exit, "another person has to make it" in report.outcome) == (Exit.FAILED, True)
    assert books.refunds() == []


def test_an_approval_is_of_a_sum_and_can_be_withdrawn(books: Books, bench: Bench) -> None:
    order = books.charge()
    plan = approve(bench)
    books.run("UPDATE payments SET amount = 4000")
    assert "of another sum" in bench.applied().outcome
    books.run("UPDATE payments SET amount = 5000")
    assert bench.given(approve=True).engine().rollback(plan, TERMS).exit is Exit.DONE
    assert f"nobody has approved the refund of order {order}" in bench.applied().outcome
    assert books.refunds() == []


@pytest.mark.parametrize(
    ("order", "payment"), [("completed", "captured"), ("cancelled", "authorised"), ("needs_operator", "captured")]
)
def test_only_what_is_captured_for_a_cancelled_order_goes_back(
    books: Books, bench: Bench, order: str, payment: str
) -> None:
    books.charge(order=order, payment=payment)
    report = bench.engine().dry_run()
    assert report.actions == []
    assert report.findings[0]["rows"][0]["order_status"] == order
    assert report.findings[1]["rows"][0]["approved_by"] == "no refund"


def test_while_a_dispute_is_open_nothing_goes_back(books: Books, bench: Bench) -> None:
    books.charge()
    books.run(
        "INSERT INTO disputes (id, order_id, attempt, amount, reason, status) "
        "SELECT 'dp_1', order_id, attempt, amount, 'fraudulent', 'needs_response' FROM payments"
    )
    assert bench.engine().dry_run().actions == []


def test_what_is_left_after_a_part_went_back_is_refunded(books: Books, bench: Bench) -> None:
    books.charge()
    books.run(
        "INSERT INTO refunds (id, order_id, attempt, amount, reason, status) "
        "SELECT gen_random_uuid(), order_id, attempt, 2000, 'requested', 'succeeded' FROM payments"
    )
    approve(bench)
    assert bench.applied().exit is Exit.DONE
    assert sorted(each["amount"] for each in books.refunds()) == [2_000, 3_000]


def test_more_than_the_most_at_once_is_refused(books: Books, bench: Bench) -> None:
    books.charge()
    with pytest.raises(kit.Refused, match="5000 eur would go back, more than 4999"):
        bench.given(most=4_999).engine().dry_run()


def test_an_order_in_which_nothing_differs_can_be_named(books: Books, bench: Bench) -> None:
    order = books.charge(differs=False)
    assert bench.engine().dry_run().actions == []
    [action] = bench.given(order=[order]).engine().dry_run().actions
    assert action["before"]["order"] == order
    with pytest.raises(kit.Refused, match="an order's id is a UUID"):
        bench.given(order=["last-night"]).engine().dry_run()
