"""Novu's workflows are what the code says: told first, changed on request, left alone when they are right."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from services.contracts import Event
from services.notification import workflows
from services.notification.adapters.novu import NovuNotifier
from services.notification.adapters.novu_workflows import definition
from services.notification.entrypoints.sync_workflows import main, sync
from services.notification.workflows import WORKFLOWS, orders
from services.notification.workflows.model import Category, Channel
from tests.services.conftest import _module, call


@pytest.fixture
def own_novu(folder: Path) -> Iterator[str]:
    """A Novu of the test alone, because its workflows change what the triggers of others do."""
    with _module("scripts.local.novu", folder / "sync") as url:
        yield url


@pytest.fixture
async def novu(own_novu: str) -> AsyncIterator[NovuNotifier]:
    made = NovuNotifier("novu-local-key", own_novu)
    yield made
    await made.aclose()


async def test_a_dry_run_tells_and_changes_nothing_and_a_second_run_has_nothing_to_do(novu: NovuNotifier) -> None:
    assert await sync(novu, apply=False) == dict.fromkeys(WORKFLOWS, "create")
    assert await novu.workflow("order-completed") is None
    assert await sync(novu, apply=True) == dict.fromkeys(WORKFLOWS, "create")
    assert await sync(novu, apply=True) == {}
    made = await novu.workflow("order-completed")
    assert made is not None
    assert [step["stepId"] for step in made["steps"]] == list(WORKFLOWS["order-completed"].channels)
    assert made["preferences"]["default"]["all"] == {"enabled": True, "readOnly": True}


async def test_what_somebody_changed_by_hand_is_named_and_mended_and_steps_stay_themselves(novu: NovuNotifier) -> None:
    await sync(novu, apply=True)
    before = await novu.workflow("offer-made")
    assert before is not None
    by_hand: dict[str, Any] = definition(orders.OFFER, before) | {"name": "Something else", "severity": "none"}
    by_hand["steps"][1]["controlValues"]["body"] = "buy now"
    del by_hand["steps"][3]
    await novu.update("offer-made", by_hand)
    assert await sync(novu, apply=False) == {"offer-made": "update name, severity, steps"}
    await sync(novu, apply=True)
    assert await sync(novu, apply=True) == {}
    after = await novu.workflow("offer-made")
    assert after is not None
    assert [step["_id"] for step in after["steps"][:3]] == [step["_id"] for step in before["steps"][:3]]


async def test_the_command_needs_a_word_to_change_anything(
    novu: NovuNotifier, own_novu: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sync(novu, apply=True)
    present = await novu.workflow("order-refunded")
    await novu.update("order-refunded", definition(orders.REFUNDED, present) | {"name": "Other"})
    monkeypatch.setenv("NOVU_API_KEY", "novu-local-key")
    monkeypatch.setenv("NOVU_API_BASE", own_novu)
    monkeypatch.setattr("services.common.logs.configure", lambda *_: None)
    for arguments, left in (([], {"order-refunded": "update name"}), (["--apply"], {})):
        monkeypatch.setattr("sys.argv", ["sync_workflows", *arguments])
        await asyncio.to_thread(main)
        assert await sync(novu, apply=False) == left


async def test_a_step_runs_for_the_channels_that_a_trigger_asks_for(novu: NovuNotifier, own_novu: str) -> None:
    await sync(novu, apply=True)
    body = {
        "name": "order-completed",
        "to": {"subscriberId": "anna", "locale": "fr"},
        "payload": {"orderId": "1", "channels": ["sms", "email", "chat"]},
        "transactionId": "order-completed:1",
    }
    await asyncio.to_thread(call, f"{own_novu}/v1/events/trigger", body, Authorization="ApiKey local")
    answer: Any = await asyncio.to_thread(call, f"{own_novu}/_local/delivered")
    assert [entry["channels"] for entry in answer["delivered"]] == [["email", "sms"]]


def test_whoever_has_to_hear_of_an_event_does() -> None:
    told = {event: [workflow.name for workflow in workflows.of(event)] for event in Event}
    assert {event for event, names in told.items() if names} == {
        Event.ORDER_COMPLETED,
        Event.ORDER_CANCELLED,
        Event.ORDER_REFUNDED,
        Event.PAYMENT_ACTION_REQUIRED,
        Event.PAYMENT_REFUND_FAILED,
        Event.PAYMENT_DISPUTED,
        Event.TICKET_TRANSFERRED,
        Event.OFFER_MADE,
    }
    assert [category.priority for category in Category] == [0, 1, 2, 3]
    assert all(Channel.EMAIL in workflow.channels for workflow in WORKFLOWS.values())
    assert not [workflow.name for workflow in WORKFLOWS.values() if workflow.critical and workflow.digest]
