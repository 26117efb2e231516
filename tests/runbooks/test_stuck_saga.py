"""Parked orders: which decision the facts leave, which are for a person, and what a person may not decide."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from runbooks import _kit as kit
from runbooks._kit.messages import Message
from runbooks._kit.model import Exit
from runbooks.stuck_saga import Facts, StuckSaga
from tests.runbooks.bench import Bench
from tests.runbooks.faults.stuck_saga import Saga

FACTS = Facts(
    order_id="an-order", execution="RUNNING", waits=True, order_status="needs_operator", amount=5_000, hold="confirmed",
    payment="captured", charged=5_000, with_money=1,
)  # fmt: skip


@pytest.fixture
def bench(saga: Saga, tmp_path: Path) -> Bench:
    return Bench(StuckSaga(patience=0), saga.environment, tmp_path)


@pytest.mark.parametrize(
    ("payment", "hold", "decision"),
    [
        ("captured", "confirmed", "issue"),
        ("captured", "released", "refund"),
        ("captured", "expired", "refund"),
        ("authorised", "confirmed", "capture"),
        ("authorised", "expired", "cancel"),
        ("declined", "confirmed", "cancel"),
        ("cancelled", "released", "cancel"),
        (None, "active", "cancel"),
        ("refunded", "released", "refund"),
        ("refunded", "confirmed", "refund"),
    ],
)
def test_facts_that_are_plain_leave_one_decision(payment: str | None, hold: str, decision: str) -> None:
    facts = replace(FACTS, payment=payment, hold=hold)
    assert facts.doubt == ""
    assert facts.decisions[0] == decision


@pytest.mark.parametrize(
    ("changed", "doubt"),
    [
        ({"payment": "cancelling"}, "the payment is cancelling"),
        ({"payment": "started"}, "the payment is started"),
        ({"hold": "active"}, "the hold is active"),
        ({"tickets": 2}, "2 tickets are out"),
        ({"disputed": True}, "the payment is disputed"),
        ({"with_money": 2}, "2 payments have money in them"),
        ({"charged": 4_000}, "4000 was charged for 5000"),
        ({"refunded": 100}, "100 of a captured payment went back"),
        ({"order_status": "completed"}, "the order is completed"),
        ({"order_status": None}, "booking does not know the order"),
    ],
)
def test_anything_else_is_for_a_person(changed: dict[str, object], doubt: str) -> None:
    assert doubt in replace(FACTS, **changed).doubt  # type: ignore[arg-type]


def test_what_is_shown_says_what_went_wrong_and_why_an_order_is_for_a_person(saga: Saga, bench: Bench) -> None:
    order = saga.park(payment="cancelling")
    report = bench.engine().dry_run()
    [row] = report.findings[0]["rows"]
    assert (row["order"], row["went_wrong"]) == (order, "CancelPayment: Refused")
    assert row["decision"] == "for a person: the payment is cancelling"
    assert report.actions == []
    assert bench.engine().verify().exit is Exit.FAILED


def test_a_person_may_choose_what_the_facts_allow(saga: Saga, bench: Bench) -> None:
    order = saga.park(payment="captured")
    assert bench.given(order=[order], decision="refund").applied().exit is Exit.DONE
    assert saga.state(order) == "RefundPayment"


def test_a_choice_that_contradicts_the_facts_is_refused(saga: Saga, bench: Bench) -> None:
    order = saga.park(payment="declined", hold="released")
    with pytest.raises(kit.Refused, match=f"issue contradicts what is true of order {order}.*possible are cancel"):
        bench.given(order=[order], decision="issue").engine().dry_run()
    with pytest.raises(kit.Refused, match="name it with --order ID"):
        bench.given(decision="issue").engine().dry_run()


def test_an_order_that_a_person_has_answered_meanwhile_is_answered_no_second_time(saga: Saga, bench: Bench) -> None:
    order = saga.park(payment="captured")
    plan, [token] = bench.planned(), saga.tokens()
    saga.machines.send_task_success(taskToken=token, output='{"decision": "refund"}')
    saga.reached(order, "RefundPayment")
    report = bench.applied(plan)
    assert [action["outcome"] for action in report.actions] == ["nothing to do any more"]
    assert report.appeared == [f"remove the message of order {order}, which was answered"]
    assert bench.applied().exit is Exit.DONE
    assert (saga.waiting(), saga.state(order)) == ([], "RefundPayment")


def test_of_an_order_that_was_parked_twice_both_messages_go_and_the_open_token_is_answered(
    saga: Saga, bench: Bench
) -> None:
    order = saga.park(payment="captured")
    [token] = saga.tokens()
    saga.machines.send_task_success(taskToken=token, output='{"decision": "what"}')
    saga.parked(order, times=2)
    assert bench.applied().exit is Exit.DONE
    assert (saga.waiting(), saga.state(order)) == ([], "IssueTickets")


def test_facts_that_change_after_the_plan_refuse_it(saga: Saga, bench: Bench) -> None:
    order = saga.park(payment="authorised")
    plan = bench.planned()
    saga.run("payment", "UPDATE payments SET intent_id = 'pi_other'")
    with pytest.raises(kit.Refused, match=f"capture {order} is not what the dry run"):
        bench.applied(plan)
    assert saga.waiting() == [order]


def test_a_message_about_no_order_is_told_and_left(saga: Saga, bench: Bench) -> None:
    saga.queue("operator").send(Message(id="any", body=b"{}"))
    report = bench.engine().dry_run()
    assert report.findings[1]["rows"] == [{"messages": 1}]
    assert report.actions == []


def test_an_order_whose_execution_is_gone_is_for_a_person_and_its_message_stays(saga: Saga, bench: Bench) -> None:
    order = saga.park(payment="captured")
    gone = json.loads(saga.bodies()[0]) | {"executionArn": saga.execution("never"), "orderId": str(uuid.uuid4())}
    saga.queue("operator").send(Message(id="any", body=json.dumps(gone).encode()))
    report = bench.engine().dry_run()
    assert {row["order"]: row["decision"] for row in report.findings[0]["rows"]} == {
        order: "issue",
        gone["orderId"]: "for a person: its execution is not there",
    }
    assert [action["before"]["order"] for action in report.actions] == [order]
