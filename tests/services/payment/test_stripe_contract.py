"""What we rely upon Stripe for, asked of the local one through our own adapter.

Each sentence is documented by Stripe (docs.stripe.com/api, /payments/paymentintents/lifecycle, /refunds, /disputes).
"""

from __future__ import annotations

import dataclasses
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from services.payment.adapters.stripe import StripeProcessor
from services.payment.domain import IntentStatus, Payment, ProviderRefund, Refund, RefundStatus
from services.payment.ports import Missing
from tests.services.payment.support import CHALLENGED, happen
from tests.services.payment.test_requests import PAYMENT, REFUND


@pytest.fixture
def wanted() -> Payment:
    return dataclasses.replace(PAYMENT, order_id=uuid.uuid4(), created_at=datetime.now(UTC))


def part(wanted: Payment, amount: int) -> Refund:
    return dataclasses.replace(REFUND, id=uuid.uuid4(), order_id=wanted.order_id, amount=amount)


async def taken(processor: StripeProcessor, wanted: Payment) -> str:
    intent = await processor.create(wanted)
    await processor.confirm(wanted, intent.id)
    assert (await processor.capture(wanted, intent.id)).status is IntentStatus.CAPTURED
    return intent.id


async def test_creating_again_finds_the_same_intent(processor: StripeProcessor, wanted: Payment) -> None:
    first, second = await processor.create(wanted), await processor.create(wanted)
    assert (first, first.status, first.amount) == (second, IntentStatus.UNCONFIRMED, wanted.amount)
    assert (first.order_id, first.attempt) == (str(wanted.order_id), wanted.attempt)


async def test_a_finished_intent_says_what_it_is(processor: StripeProcessor, wanted: Payment) -> None:
    intent = await taken(processor, wanted)
    assert (await processor.cancel(wanted, intent)).status is IntentStatus.CAPTURED
    assert (await processor.fetch(intent)).status is IntentStatus.CAPTURED


@pytest.mark.parametrize(
    "method", ["pm_card_authenticationRequired", "pm_card_threeDSecure2Required", "pm_card_threeDSecureRequired"]
)
async def test_a_challenge_waits_with_a_secret(processor: StripeProcessor, wanted: Payment, method: str) -> None:
    challenged = dataclasses.replace(wanted, payment_method=method)
    intent = await processor.confirm(challenged, (await processor.create(challenged)).id)
    assert intent.status is IntentStatus.ACTION_REQUIRED
    assert str(intent.client_secret).startswith(f"{intent.id}_secret_")


@pytest.mark.parametrize(
    ("outcome", "status"), [("succeeded", IntentStatus.AUTHORISED), ("failed", IntentStatus.DECLINED)]
)
async def test_a_challenge_ends_as_the_buyer_ends_it(
    processor: StripeProcessor, stripe_server: str, wanted: Payment, outcome: str, status: IntentStatus
) -> None:
    challenged = dataclasses.replace(wanted, payment_method=CHALLENGED)
    intent = await processor.confirm(challenged, (await processor.create(challenged)).id)
    await happen(stripe_server, "authenticate", intent.id, outcome=outcome)
    assert (await processor.fetch(intent.id)).status is status
    assert (await processor.cancel(challenged, intent.id)).status is IntentStatus.CANCELLED


async def test_refunds_add_up_to_no_more_than_was_taken(processor: StripeProcessor, wanted: Payment) -> None:
    intent = await taken(processor, wanted)
    most, too_much, rest = part(wanted, 3_000), part(wanted, 2_001), part(wanted, 2_000)
    answers = [await processor.refund(each, intent) for each in (most, most, too_much, rest)]
    assert answers[0] == answers[1] == ProviderRefund(answers[0].id, RefundStatus.SUCCEEDED, 3_000, most.id, intent)
    assert [answer.status for answer in answers[2:]] == [RefundStatus.FAILED, RefundStatus.SUCCEEDED]
    assert answers[2].failure == "charge_already_refunded"
    assert [each.refund_id for each in await processor.refunds_of(intent)] == [rest.id, most.id]


async def test_a_disputed_charge_is_not_refunded_until_it_is_won(
    processor: StripeProcessor, stripe_server: str, wanted: Payment
) -> None:
    intent = await taken(processor, wanted)
    await happen(stripe_server, "dispute", intent)
    refused = await processor.refund(part(wanted, 100), intent)
    assert (refused.status, refused.failure) == (RefundStatus.FAILED, "charge_disputed")
    [dispute] = await processor.disputes_of(intent)
    assert (dispute.amount, dispute.status, dispute.settled) == (5_000, "needs_response", False)
    await happen(stripe_server, "end-dispute", dispute.id, status="won")
    assert (await processor.refund(part(wanted, 100), intent)).status is RefundStatus.SUCCEEDED


async def test_a_window_has_what_was_made_in_it(processor: StripeProcessor, wanted: Payment) -> None:
    intent = await processor.create(wanted)
    now = datetime.now(UTC)
    near = [each.id async for each in processor.intents(now - timedelta(minutes=1), now + timedelta(minutes=1))]
    past = [each.id async for each in processor.intents(now - timedelta(days=1), now - timedelta(minutes=1))]
    assert (intent.id in near, intent.id in past) == (True, False)


@pytest.mark.parametrize("name", ["pi_of_nobody", "tr_of_nobody", "po_of_nobody"])
async def test_what_there_is_not_is_missing(processor: StripeProcessor, name: str) -> None:
    with pytest.raises(Missing):
        await (processor.fetch(name) if name.startswith("pi_") else processor.payout(name))
