"""What moto does otherwise than AWS, and only a race would show from outside."""

from __future__ import annotations

import pytest
from moto.stepfunctions.parser.asl.eval.callback.callback import CallbackEndpoint, CallbackOutcomeSuccess

from scripts.local.cloud import corrections


@pytest.mark.parametrize("answered", [True, False])
def test_a_task_waits_for_a_sign_of_life_unless_it_was_answered_before(
    monkeypatch: pytest.MonkeyPatch, answered: bool
) -> None:
    # The correction is for a process of its own: here the class gets its own method back.
    monkeypatch.setattr(CallbackEndpoint, "setup_heartbeat_endpoint", CallbackEndpoint.setup_heartbeat_endpoint)
    corrections.an_answer_before_the_wait_counts()
    task = CallbackEndpoint("token")
    if answered:
        task.notify(CallbackOutcomeSuccess("token", "{}"))
    assert task.setup_heartbeat_endpoint(heartbeat_seconds=0).clear_and_wait() is answered
