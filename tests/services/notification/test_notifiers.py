"""What the sender relies upon, asked of Novu's adapter and of the notifier that tests use."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from services.notification.adapters.novu import NovuNotifier
from services.notification.ports import Message, Notifier
from services.notification.preferences import Preferences
from services.notification.workflows import orders
from services.notification.workflows.model import Channel
from tests.services.notification.conftest import Novu
from tests.services.notification.test_queue import Recorder


@dataclass(frozen=True, slots=True)
class Trial:
    """A notifier, what refuses its next calls, and the transaction ids that have arrived for a subscriber."""

    notifier: Notifier
    refuse: Callable[[], Awaitable[None]]
    arrived: Callable[[str], Awaitable[set[str]]]


@pytest.fixture(params=["recorder", "novu"])
def trial(request: pytest.FixtureRequest, novu: Novu, notifier: NovuNotifier) -> Trial:
    if request.param == "novu":

        async def transactions(subscriber: str) -> set[str]:
            return set(await novu.transactions(subscriber))

        return Trial(notifier, lambda: novu.fail(count=100), transactions)
    recorder = Recorder()

    async def refuse() -> None:
        recorder.refuse = 1

    async def taken(_: str) -> set[str]:
        return {message.transaction_id for message in recorder.taken}

    return Trial(recorder, refuse, taken)


def message() -> Message:
    name = str(uuid.uuid4())
    content = {Channel.EMAIL: {"subject": "Cancelled", "body": "<p>Your order was cancelled.</p>"}}
    told = orders.CANCELLED.name
    return Message(f"{told}:{name}", told, f"buyer-{name}", Preferences(), {"orderId": name}, content)


async def test_what_was_triggered_has_arrived_and_triggered_again_it_is_the_same(trial: Trial) -> None:
    told = message()
    for _ in range(2):
        await trial.notifier.trigger(told)
    assert await trial.arrived(told.subscriber_id) == {told.transaction_id}


async def test_what_is_refused_raises_and_has_not_arrived(trial: Trial) -> None:
    told = message()
    await trial.refuse()
    with pytest.raises(Exception):  # noqa: B017, PT011 each has errors of its own; the sender tells none apart
        await trial.notifier.trigger(told)
    assert await trial.arrived(told.subscriber_id) == set()


async def test_who_is_erased_has_nothing_left_and_erasing_again_is_the_same(trial: Trial) -> None:
    told = message()
    await trial.notifier.trigger(told)
    for _ in range(2):
        await trial.notifier.erase(told.subscriber_id)
    assert await trial.arrived(told.subscriber_id) == set()
