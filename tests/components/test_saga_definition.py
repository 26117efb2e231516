"""The order saga, walked state by state without a cloud."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.saga_definition import OPERATOR, SERVICES, definition

SAGA = definition({name: f"https://sqs/{name}" for name in (*SERVICES, OPERATOR)})
STATES: Mapping[str, Any] = SAGA["States"]
FORWARD = ("AuthorisePayment", "ConfirmSeats", "CapturePayment", "IssueTickets", "SendNotification")


def walk(failures: Mapping[str, str]) -> list[str]:
    """The states that an execution passes when each state in ``failures`` ends with that error."""
    passed, state = [], SAGA["StartAt"]
    for _ in range(50):
        passed.append(state)
        described = STATES[state]
        if described.get("End") or described["Type"] in ("Fail", "Choice"):
            return passed
        error = failures.get(state)
        state = described["Next"] if error is None else _caught(described, error)
    raise AssertionError(f"the saga does not end: {passed}")


def _caught(described: Mapping[str, Any], error: str) -> str:
    for catcher in described["Catch"]:
        if error in catcher["ErrorEquals"] or "States.ALL" in catcher["ErrorEquals"]:
            return str(catcher["Next"])
    raise AssertionError(f"{error} is not caught")


def test_an_order_that_goes_well_passes_the_five_steps_in_order() -> None:
    assert walk({}) == [*FORWARD, "Booked"]


@pytest.mark.parametrize("error", ["Hold.Lost", "Refused", "Transient", "States.Timeout"])
def test_lost_seats_cancel_the_payment_before_the_seats_go_back_on_sale(error: str) -> None:
    assert walk({"ConfirmSeats": error})[2:] == ["CancelPayment", "ReleaseSeats", "CancelOrder", "Cancelled"]


def test_a_declined_card_has_no_payment_to_cancel() -> None:
    assert walk({"AuthorisePayment": "Payment.Declined"})[1:] == ["ReleaseSeats", "CancelOrder", "Cancelled"]


def test_an_authorisation_whose_answer_was_lost_is_cancelled() -> None:
    assert "CancelPayment" in walk({"AuthorisePayment": "Payment.Unknown"})


@pytest.mark.parametrize("error", ["Payment.Unknown", "States.Timeout", "Transient"])
def test_a_capture_that_may_have_moved_money_waits_for_a_person(error: str) -> None:
    assert walk({"CapturePayment": error})[3:] == ["NeedsOperator", "AwaitOperator", "Decide"]


def test_a_capture_that_was_declined_is_undone() -> None:
    assert walk({"CapturePayment": "Payment.Declined"})[3:] == [
        "CancelPayment",
        "ReleaseSeats",
        "CancelOrder",
        "Cancelled",
    ]


def test_money_goes_back_only_when_the_seat_is_gone() -> None:
    assert "RefundPayment" in walk({"IssueTickets": "Seat.Gone"})
    assert "RefundPayment" not in walk({"IssueTickets": "Transient"})


def test_a_notification_that_fails_does_not_fail_the_order() -> None:
    assert walk({"SendNotification": "States.ALL"})[-1] == "Booked"


@given(
    st.dictionaries(
        st.sampled_from([name for name, state in STATES.items() if state["Type"] == "Task"]),
        st.sampled_from(["Transient", "States.Timeout", "Payment.Declined", "Payment.Unknown", "Refused", "Seat.Gone"]),
    )
)
def test_whatever_fails_the_saga_ends_booked_cancelled_or_with_a_person(failures: dict[str, str]) -> None:
    passed = walk(failures)
    assert passed[-1] in {"Booked", "Cancelled", "Decide", "Abandoned"}
    if passed[-1] == "Cancelled":
        undone = [state for state in passed if state not in FORWARD]
        assert undone[-3:] == ["ReleaseSeats", "CancelOrder", "Cancelled"]


# What each forward step leaves behind when it completes, and the state that takes it back. The hold was taken before.
HELD, PAID = ("hold", "ReleaseSeats"), ("authorisation", "CancelPayment")
CAPTURED = ("capture", "RefundPayment")
EFFECTS = {"AuthorisePayment": PAID, "CapturePayment": CAPTURED}
# After these, nobody knows whether the step has had its effect: taking back what is not there does nothing.
UNKNOWN = ("Payment.Unknown", "States.Timeout", "Transient")


@pytest.mark.parametrize("error", [*UNKNOWN, "Payment.Declined", "Refused", "Hold.Lost", "Seat.Gone"])
@pytest.mark.parametrize("failing", FORWARD)
def test_exactly_what_completed_is_taken_back_in_reverse_order(failing: str, error: str) -> None:
    passed = walk({failing: error})
    done = FORWARD[: FORWARD.index(failing)]
    completed = [HELD, *(EFFECTS[state] for state in done if state in EFFECTS)]
    if failing in EFFECTS and error in (*UNKNOWN, "Hold.Lost", "Seat.Gone"):
        completed.append(EFFECTS[failing])
    if CAPTURED in completed:
        # Money that was taken is given back whole: there is no authorisation left to cancel.
        completed.remove(PAID)
    compensations = [state for state in passed if state in {"ReleaseSeats", "CancelPayment", "RefundPayment"}]
    expected = [undo for _, undo in reversed(completed)]
    if passed[-1] in {"Booked", "Decide"}:
        # Nobody undoes a ticket that is issued, or decides for a person what may have moved money.
        assert compensations == []
        assert failing in {"CapturePayment", "IssueTickets", "SendNotification"}
    else:
        assert compensations == expected


def test_every_step_has_a_timeout_a_heartbeat_retries_with_jitter_and_catches_everything() -> None:
    for name, state in STATES.items():
        if state["Type"] != "Task" or name == "AwaitOperator":
            continue
        assert state["TimeoutSeconds"] >= 2 * state["HeartbeatSeconds"], name
        assert all(retry["JitterStrategy"] == "FULL" for retry in state["Retry"]), name
        assert state["Catch"][-1]["ErrorEquals"] == ["States.ALL"], name
        decided = {"Payment.Declined", "Refused", "Hold.Lost", "Seat.Gone"}
        assert not any(decided & set(retry["ErrorEquals"]) for retry in state["Retry"]), name


def test_a_missing_queue_is_named() -> None:
    with pytest.raises(ValueError, match="queues lacks operator, payment"):
        definition({"booking": "q", "notification": "q"})


def test_every_command_is_one_that_a_service_knows() -> None:
    from services.contracts import Command

    sent = {
        state["Parameters"]["MessageBody"]["command"]
        for name, state in STATES.items()
        if state["Type"] == "Task" and name != "AwaitOperator"
    }
    assert sent == {str(command) for command in Command}
