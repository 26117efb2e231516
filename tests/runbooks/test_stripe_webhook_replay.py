"""What of a file of events is recorded, and that payment takes it for what arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from runbooks import _kit as kit
from runbooks._kit.model import Exit
from runbooks.stripe_webhook_replay import StripeWebhookReplay
from services.common import database
from services.payment.adapters import webhooks as adapter
from tests.runbooks.bench import Bench
from tests.runbooks.faults.stripe_webhook_replay import INTENT, PAYOUT, REFUND, Webhooks, event


@pytest.fixture
def bench(webhooks: Webhooks, tmp_path: Path) -> Bench:
    runbook = StripeWebhookReplay(events=[webhooks.file(PAYOUT, REFUND, INTENT)])
    return Bench(runbook, webhooks.environment, tmp_path)


def test_the_oldest_is_recorded_first_with_what_it_is_about_as_the_endpoint_would(
    bench: Bench, webhooks: Webhooks
) -> None:
    assert bench.applied().exit is Exit.DONE
    assert webhooks.recorded == [
        (each["id"], *adapter.StripeEvent.model_validate(each).data.object.subject())
        for each in (INTENT, REFUND, PAYOUT)
    ]


def test_payment_follows_each_object_once_and_a_late_delivery_changes_nothing(bench: Bench, webhooks: Webhooks) -> None:
    bench.applied()
    followed: list[str] = []

    async def follow(subject: str, _: Sequence[str]) -> None:
        followed.append(subject)

    async def payment() -> tuple[int, bool]:
        async with database.pool(webhooks.url, size=1) as pool:
            settled = await adapter.follow_up(pool, follow)
            return settled, await adapter.record(pool, INTENT["id"], INTENT["type"], "pi_1")

    assert asyncio.run(payment()) == (3, False)
    assert sorted(followed) == ["pi_1", "po_1"]
    states = {row["event"]: row["state"] for row in bench.engine().dry_run().findings[0]["rows"]}
    assert states == {"evt_1": "settled", "evt_2": "settled", "evt_3": "settled"}


def test_an_event_in_two_files_is_recorded_once(bench: Bench, webhooks: Webhooks) -> None:
    both = [webhooks.file(INTENT), webhooks.file(INTENT, REFUND, name="more.json")]
    assert bench.given(events=both).applied().exit is Exit.DONE
    assert [name for name, *_ in webhooks.recorded] == ["evt_1", "evt_2"]


def test_live_and_test_events_are_not_mixed(bench: Bench, webhooks: Webhooks) -> None:
    test: dict[str, Any] = event("evt_9", "payout.paid", {"object": "payout", "id": "po_9"}, 9, live=False)
    with pytest.raises(kit.Refused, match="live and of its test mode"):
        bench.given(events=[webhooks.file(INTENT, test)]).planned()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]}",
        '{"object": "list"}',
        '["evt_1"]',
        '{"data": [{"object": "charge"}]}',
        '{"data": [{"id": "evt_1"}]}',
    ],
)
def test_a_file_that_is_no_list_of_events_is_refused_and_nothing_is_recorded(
    bench: Bench, webhooks: Webhooks, text: str
) -> None:
    path = webhooks.folder / "other.json"
    path.write_text(text)
    with pytest.raises(kit.Refused, match=r"other\.json is no list of Stripe's events"):
        bench.given(events=[webhooks.file(INTENT), path]).applied()
    assert webhooks.recorded == []
