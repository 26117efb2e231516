"""Money that banks take back, and money that is paid out, told by webhooks in any order."""

from __future__ import annotations

import asyncpg
import httpx
import pytest
import stripe

from services.common.auth import PLATFORM
from services.contracts import Event
from services.payment import bootstrap
from services.payment.adapters import webhooks
from services.payment.adapters.stripe import StripeProcessor
from tests.services.payment.support import balances, captured, happen, said


async def told(
    pool: asyncpg.Pool, processor: StripeProcessor, account: stripe.StripeClient, *names: str | None
) -> None:
    """Deliver every event about the objects ``names`` from the newest to the oldest, and follow them up."""
    for event in account.v1.events.list({"limit": 100}).auto_paging_iter():
        found = event.data.object.to_dict()
        subject = webhooks.About.model_validate(found).subject()
        if any(name in names for name in subject if name):
            await webhooks.record(pool, event.id, event.type, *subject)
            await bootstrap.follow_webhooks(pool, processor)


@pytest.mark.parametrize(
    ("status", "left"),
    [
        ("needs_response", {"processor_clearing": 1_000, "disputes": 4_000, "organiser_payable": -5_000}),
        ("won", {"processor_clearing": 5_000, "organiser_payable": -5_000}),
        ("lost", {"processor_clearing": 1_000, "organiser_payable": -1_000}),
        ("warning_closed", {"processor_clearing": 5_000, "organiser_payable": -5_000}),
    ],
)
async def test_a_disputed_payment_is_in_the_books_as_the_bank_decides(
    payment: asyncpg.Pool,
    processor: StripeProcessor,
    account: stripe.StripeClient,
    stripe_server: str,
    order: str,
    status: str,
    left: dict[str, int],
) -> None:
    paid = await captured(payment, processor, order)
    first = "warning_needs_response" if status == "warning_closed" else "needs_response"
    dispute = await happen(stripe_server, "dispute", paid.intent_id, amount=4_000, status=first)
    await happen(stripe_server, "end-dispute", str(dispute["id"]), status=status)
    await told(payment, processor, account, paid.intent_id)
    assert await balances(payment) == left
    events = await said(payment, Event.PAYMENT_DISPUTED)
    assert [(ids["disputeId"], ids["amount"], ids["status"]) for ids in events] == [(dispute["id"], "4000", status)]


async def test_each_state_of_a_dispute_is_told(
    payment: asyncpg.Pool, processor: StripeProcessor, account: stripe.StripeClient, stripe_server: str, order: str
) -> None:
    paid = await captured(payment, processor, order)
    dispute = await happen(stripe_server, "dispute", paid.intent_id)
    for status in ("under_review", "won"):
        await told(payment, processor, account, paid.intent_id)
        await happen(stripe_server, "end-dispute", str(dispute["id"]), status=status)
    await told(payment, processor, account, paid.intent_id)
    events = await said(payment, Event.PAYMENT_DISPUTED)
    assert [ids["status"] for ids in events] == ["needs_response", "under_review", "won"]


async def test_a_transfer_to_an_organiser_and_what_comes_back_of_it(
    payment: asyncpg.Pool, processor: StripeProcessor, account: stripe.StripeClient, stripe_server: str, order: str
) -> None:
    await captured(payment, processor, order)
    made = account.v1.transfers.create({"amount": 3_000, "currency": "eur", "destination": "acct_1"})
    await told(payment, processor, account, made.id)
    assert await balances(payment) == {"processor_clearing": 2_000, "organiser_payable": -2_000}
    for reversed_ in (500, 1_200):
        await happen(stripe_server, "change-payout", made.id, amount_reversed=reversed_)
        await told(payment, processor, account, made.id)
    assert await balances(payment) == {"processor_clearing": 3_200, "organiser_payable": -3_200}


async def test_a_payout_that_the_bank_sends_back_is_in_clearing_again(
    payment: asyncpg.Pool, processor: StripeProcessor, account: stripe.StripeClient, stripe_server: str, order: str
) -> None:
    await captured(payment, processor, order)
    made = account.v1.payouts.create({"amount": 800, "currency": "eur"})
    await told(payment, processor, account, made.id)
    assert (await balances(payment))["bank"] == 800
    await happen(stripe_server, "change-payout", made.id, status="failed")
    await told(payment, processor, account, made.id)
    assert await balances(payment) == {"processor_clearing": 5_000, "organiser_payable": -5_000}


async def test_payouts_are_listed_for_the_platform_alone(
    payment: asyncpg.Pool, processor: StripeProcessor, account: stripe.StripeClient, api: httpx.AsyncClient
) -> None:
    made = [account.v1.payouts.create({"amount": 100 + n, "currency": "eur"}).id for n in range(3)]
    await told(payment, processor, account, *made)
    assert (await api.get("/payouts", headers={"Authorization": "buyer-1"})).status_code == 403
    answer = (await api.get("/payouts?limit=2", headers={"Authorization": f"operator {PLATFORM}"})).json()
    assert (len(answer), answer[0]["kind"], answer[0]["status"]) == (2, "payout", "paid")


async def test_a_webhook_that_cannot_be_followed_keeps_no_other_waiting(
    payment: asyncpg.Pool, processor: StripeProcessor, account: stripe.StripeClient
) -> None:
    made = account.v1.payouts.create({"amount": 100, "currency": "eur"})
    await webhooks.record(payment, "evt_1", "payment_intent.succeeded", "pi_poison")

    async def follow(subject: str, _: object) -> None:
        if subject == "pi_poison":
            raise KeyError(subject)

    await webhooks.record(payment, "evt_2", "payout.paid", None, made.id)
    with pytest.raises(KeyError):
        await webhooks.follow_up(payment, follow)
    waiting = await payment.fetch("SELECT id, attempts FROM webhook_events WHERE processed_at IS NULL")
    assert [tuple(row) for row in waiting] == [("evt_1", 1)]


async def test_what_the_provider_does_not_know_is_nothing_to_follow(
    payment: asyncpg.Pool, processor: StripeProcessor
) -> None:
    await webhooks.record(payment, "evt_1", "payment_intent.succeeded", "pi_of_nobody")
    await webhooks.record(payment, "evt_2", "payout.paid", None, "po_of_nobody")
    await bootstrap.follow_webhooks(payment, processor)
    assert await payment.fetchval("SELECT count(*) FROM webhook_events WHERE processed_at IS NULL") == 0
