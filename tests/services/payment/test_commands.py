"""Money moves once, whatever is lost, repeated, late or in the wrong order: on the real SDK and a Stripe that honours
keys.
"""

from __future__ import annotations

import asyncio
import uuid

import asyncpg
import pytest
import stripe

from services.common import inbox
from services.common.inbox import Claim, Outcome
from services.common.saga_worker import Retry
from services.contracts import Command, Failure
from services.payment import bootstrap, following, handlers
from services.payment.adapters.store import PostgresStore
from services.payment.adapters.stripe import StripeProcessor
from services.payment.adapters.transactions import transactions
from services.payment.domain import Payment, Status
from tests.services.payment.support import Faults, carry_out, intents, status
from tests.services.samples import message


async def test_a_payment_is_authorised_captured_and_refunded(
    payment: asyncpg.Pool, processor: StripeProcessor, account: stripe.StripeClient, order: str
) -> None:
    for command in (Command.AUTHORISE, Command.CAPTURE, Command.REFUND):
        assert (await carry_out(payment, processor, command, order)).error is None
    assert await status(payment, order) is Status.REFUNDED
    [intent] = intents(account, order)
    [refund] = account.v1.refunds.list({"payment_intent": intent.id}).data
    assert (intent.amount_received, refund.amount) == (5_000, 5_000)
    topics = [row["topic"] for row in await payment.fetch("SELECT topic FROM outbox ORDER BY created_at")]
    assert topics == ["payment.authorised", "payment.captured", "payment.refunded"]


@pytest.mark.parametrize("mode", ["drop-after", "drop-before", "error-500"])
@pytest.mark.parametrize(
    ("operation", "command"),
    [
        ("create", Command.AUTHORISE),
        ("confirm", Command.AUTHORISE),
        ("capture", Command.CAPTURE),
        ("cancel", Command.CANCEL_PAYMENT),
        ("refund", Command.REFUND),
    ],
)
async def test_a_lost_answer_is_settled_within_the_step_and_charges_once(
    payment: asyncpg.Pool,
    processor: StripeProcessor,
    account: stripe.StripeClient,
    stripe_faults: Faults,
    order: str,
    mode: str,
    operation: str,
    command: Command,
) -> None:
    before = {
        Command.AUTHORISE: [],
        Command.CAPTURE: [Command.AUTHORISE],
        Command.CANCEL_PAYMENT: [Command.AUTHORISE],
        Command.REFUND: [Command.AUTHORISE, Command.CAPTURE],
    }[command]
    for earlier in before:
        await carry_out(payment, processor, earlier, order)
    stripe_faults(mode=mode, operation=operation, count=2)
    assert (await carry_out(payment, processor, command, order)).error is None
    assert len(intents(account, order)) == 1
    expected = {
        Command.AUTHORISE: Status.AUTHORISED,
        Command.CAPTURE: Status.CAPTURED,
        Command.CANCEL_PAYMENT: Status.CANCELLED,
        Command.REFUND: Status.REFUNDED,
    }
    assert await status(payment, order) is expected[command]


async def test_an_outcome_that_stays_unknown_is_not_taken_for_a_refusal(
    payment: asyncpg.Pool,
    processor: StripeProcessor,
    account: stripe.StripeClient,
    stripe_faults: Faults,
    order: str,
) -> None:
    await carry_out(payment, processor, Command.AUTHORISE, order)
    stripe_faults(mode="drop-after", operation="", count=50)
    with pytest.raises(Retry) as lost:
        await carry_out(payment, processor, Command.CAPTURE, order)
    assert lost.value.failure is Failure.PAYMENT_UNKNOWN
    assert await status(payment, order) is Status.AUTHORISED
    stripe_faults(mode="", count=0)
    assert (await carry_out(payment, processor, Command.CAPTURE, order)).error is None
    assert [(i.status, i.amount_received) for i in intents(account, order)] == [("succeeded", 5_000)]


@pytest.mark.parametrize(
    ("method", "cause"),
    [
        ("pm_card_visa_chargeDeclined", "card_declined"),
        ("pm_card_chargeDeclinedInsufficientFunds", "card_declined"),
    ],
)
async def test_a_refused_card_is_decided_once(
    payment: asyncpg.Pool, processor: StripeProcessor, order: str, method: str, cause: str
) -> None:
    first = await carry_out(payment, processor, Command.AUTHORISE, order, method=method)
    assert (first.error, first.cause) == (Failure.PAYMENT_DECLINED, cause)
    again = await carry_out(payment, processor, Command.AUTHORISE, order, method=method)
    assert (again.error, again.cause) == (first.error, first.cause)


async def test_a_cancellation_that_overtakes_the_authorisation_leaves_a_tombstone(
    payment: asyncpg.Pool, processor: StripeProcessor, account: stripe.StripeClient, order: str
) -> None:
    assert (await carry_out(payment, processor, Command.CANCEL_PAYMENT, order)).error is None
    assert (await carry_out(payment, processor, Command.AUTHORISE, order)).error == Failure.REFUSED
    assert intents(account, order) == []


async def test_a_cancellation_frees_what_a_crashed_authorisation_left_at_the_provider(
    payment: asyncpg.Pool,
    processor: StripeProcessor,
    account: stripe.StripeClient,
    stripe_faults: Faults,
    order: str,
) -> None:
    stripe_faults(mode="drop-after", operation="create", count=4)
    with pytest.raises(Retry):
        await carry_out(payment, processor, Command.AUTHORISE, order)
    assert (await carry_out(payment, processor, Command.CANCEL_PAYMENT, order)).error is None
    assert [i.status for i in intents(account, order)] == ["canceled"]


async def test_a_captured_payment_refuses_to_be_cancelled(
    payment: asyncpg.Pool, processor: StripeProcessor, order: str
) -> None:
    for command in (Command.AUTHORISE, Command.CAPTURE):
        await carry_out(payment, processor, command, order)
    assert (await carry_out(payment, processor, Command.CANCEL_PAYMENT, order)).error == Failure.REFUSED


async def test_nothing_captured_is_nothing_to_refund(
    payment: asyncpg.Pool, processor: StripeProcessor, order: str
) -> None:
    assert (await carry_out(payment, processor, Command.REFUND, order)).output == {"refundId": None}


async def test_authorise_and_cancel_at_the_same_time_end_with_nothing_reserved(
    payment: asyncpg.Pool, processor: StripeProcessor, account: stripe.StripeClient
) -> None:
    orders = [str(uuid.uuid4()) for _ in range(10)]

    async def both(order: str) -> None:
        await asyncio.gather(
            carry_out(payment, processor, Command.AUTHORISE, order),
            carry_out(payment, processor, Command.CANCEL_PAYMENT, order),
            return_exceptions=True,
        )
        if await status(payment, order) is not Status.CANCELLED:
            await carry_out(payment, processor, Command.CANCEL_PAYMENT, order)

    await asyncio.gather(*map(both, orders))
    states = {i.status for order in orders for i in intents(account, order)}
    assert states <= {"canceled"}
    assert {await status(payment, order) for order in orders} == {Status.CANCELLED}


async def test_capture_and_cancel_at_the_same_time_agree_with_the_provider(
    payment: asyncpg.Pool, processor: StripeProcessor, account: stripe.StripeClient
) -> None:
    orders = [str(uuid.uuid4()) for _ in range(10)]

    async def both(order: str) -> Outcome:
        await carry_out(payment, processor, Command.AUTHORISE, order)
        _, cancelled = await asyncio.gather(
            carry_out(payment, processor, Command.CAPTURE, order),
            carry_out(payment, processor, Command.CANCEL_PAYMENT, order),
            return_exceptions=True,
        )
        assert isinstance(cancelled, Outcome)
        return cancelled

    for order, cancelled in zip(orders, await asyncio.gather(*map(both, orders)), strict=True):
        [intent] = intents(account, order)
        assert intent.status == ("succeeded" if cancelled.error == Failure.REFUSED else "canceled")
        assert await status(payment, order) in (Status.CAPTURED, Status.CANCELLED)


async def test_fifty_parallel_duplicates_of_a_command_authorise_once(
    payment: asyncpg.Pool, processor: StripeProcessor, account: stripe.StripeClient, order: str
) -> None:
    sent = message(Command.AUTHORISE, order)
    claims = await asyncio.gather(*(inbox.claim(payment, "payment", sent, seconds=30) for _ in range(50)))
    [claim] = [claim for claim in claims if isinstance(claim, Claim)]
    await bootstrap.commands(payment, processor)[Command.AUTHORISE](sent, claim)
    answers = await asyncio.gather(*(inbox.claim(payment, "payment", sent, seconds=30) for _ in range(50)))
    assert {answer.output["paymentId"] for answer in answers if isinstance(answer, Outcome) and answer.output} == {
        f"{order}:1"
    }
    assert len(intents(account, order)) == 1


async def test_even_fifty_workers_that_all_ignore_the_inbox_charge_once(
    payment: asyncpg.Pool, processor: StripeProcessor, account: stripe.StripeClient, order: str
) -> None:
    use_cases = handlers.Handlers(processor)
    sent = message(Command.AUTHORISE, order)
    await asyncio.gather(*(use_cases.authorise(sent, transactions(payment)) for _ in range(50)))
    await asyncio.gather(*(use_cases.capture(sent, transactions(payment)) for _ in range(50)))
    assert [(i.status, i.amount_received) for i in intents(account, order)] == [("succeeded", 5_000)]


async def test_without_a_key_of_our_own_the_same_fifty_workers_make_many_intents(
    payment: asyncpg.Pool,
    processor: StripeProcessor,
    account: stripe.StripeClient,
    order: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Payment, "key", property(lambda _: uuid.uuid4().hex))
    sent, use_cases = message(Command.AUTHORISE, order), handlers.Handlers(processor)
    await asyncio.gather(*(use_cases.authorise(sent, transactions(payment)) for _ in range(50)))
    assert len(intents(account, order)) > 1, "the guard is broken here on purpose: its loss must show"


async def test_a_capture_that_only_a_webhook_reports_is_recorded(
    payment: asyncpg.Pool, processor: StripeProcessor, account: stripe.StripeClient, order: str
) -> None:
    await carry_out(payment, processor, Command.AUTHORISE, order)
    [intent] = intents(account, order)
    account.v1.payment_intents.capture(intent.id)
    for _ in range(3):
        await following.follow_intent(processor, transactions(payment), intent.id)
    assert await status(payment, order) is Status.CAPTURED
    assert (await carry_out(payment, processor, Command.CAPTURE, order)).error is None
    assert await payment.fetchval("SELECT count(*) FROM outbox WHERE topic = 'payment.captured'") == 1


async def test_an_authorisation_that_ended_at_the_provider_is_a_decline_and_not_an_unknown(
    payment: asyncpg.Pool, processor: StripeProcessor, account: stripe.StripeClient, order: str
) -> None:
    await carry_out(payment, processor, Command.AUTHORISE, order)
    account.v1.payment_intents.cancel(intents(account, order)[0].id)
    assert (await carry_out(payment, processor, Command.CAPTURE, order)).error == Failure.PAYMENT_DECLINED


async def test_a_key_that_stripe_has_forgotten_is_not_used_to_charge_again(
    payment: asyncpg.Pool,
    processor: StripeProcessor,
    account: stripe.StripeClient,
    stripe_faults: Faults,
    order: str,
) -> None:
    stripe_faults(mode="drop-after", operation="create", count=4)
    with pytest.raises(Retry):
        await carry_out(payment, processor, Command.AUTHORISE, order)
    await payment.execute("UPDATE payments SET created_at = now() - interval '24 hours'")
    found = await PostgresStore(payment).payment(uuid.UUID(order), 1)
    assert found is not None
    [made] = intents(account, order)
    assert (await processor.create(found)).id == made.id
    assert len(intents(account, order)) == 1
