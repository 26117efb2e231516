"""Money goes back in parts or whole, never more than came, and never beside a dispute."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
import stripe

from services.common.saga_worker import Retry
from services.contracts import Command, Event
from services.payment import bootstrap, following, refunding
from services.payment.adapters import webhooks
from services.payment.adapters.store import PostgresStore
from services.payment.adapters.stripe import StripeProcessor
from services.payment.adapters.transactions import transactions
from services.payment.domain import Payment, RefundStatus, Status
from services.payment.ports import Transaction, Unknown
from tests.services.payment.support import (
    Faults,
    ask,
    asked,
    balances,
    captured,
    carry_out,
    happen,
    refunded,
    said,
    status,
)


async def statuses(pool: asyncpg.Pool) -> list[str]:
    return sorted(row["status"] for row in await pool.fetch("SELECT status FROM refunds"))


async def test_a_refund_in_parts_ends_with_nothing_left(
    payment: asyncpg.Pool, processor: StripeProcessor, account: stripe.StripeClient, order: str
) -> None:
    paid = await captured(payment, processor, order, fee=333)
    for amount in (1_001, 1_999):
        await ask(payment, order, amount)
        await bootstrap.carry_out_refunds(payment, processor)
        assert await status(payment, order) is Status.CAPTURED
    assert await balances(payment) == {"processor_clearing": 2_000, "organiser_payable": -1_933, "platform_fee": -67}
    await ask(payment, order, 2_000)
    await bootstrap.carry_out_refunds(payment, processor)
    assert await status(payment, order) is Status.REFUNDED
    assert await balances(payment) == {}, "the fee went back with it"
    assert await refunded(account, paid.intent_id) == [2_000, 1_999, 1_001]
    told = await said(payment, Event.PAYMENT_REFUNDED)
    assert [ids["amount"] for ids in told] == ["1001", "1999", "2000"]
    assert {"refundId", "orderId", "buyerId"} <= set(told[0])


@pytest.mark.parametrize("amount", [5_001, 10_000])
async def test_more_than_was_captured_is_refused_aloud(
    payment: asyncpg.Pool, processor: StripeProcessor, order: str, amount: int
) -> None:
    await captured(payment, processor, order)
    await ask(payment, order, amount)
    assert (await statuses(payment), len(await said(payment, Event.PAYMENT_REFUND_FAILED))) == (["failed"], 1)


async def test_a_refund_of_an_order_that_paid_nothing_is_refused_aloud(payment: asyncpg.Pool, order: str) -> None:
    await ask(payment, order, 100)
    [ids] = await said(payment, Event.PAYMENT_REFUND_FAILED)
    assert (ids["orderId"], ids["amount"]) == (order, "100")


async def test_a_wish_that_comes_twice_is_one_refund(
    payment: asyncpg.Pool, processor: StripeProcessor, account: stripe.StripeClient, order: str
) -> None:
    paid = await captured(payment, processor, order)
    wish = asked(order, 1_000)
    again = asked(order, 1_000, refund=uuid.UUID(wish.ids["refundId"]))
    begin = transactions(payment)
    await asyncio.gather(*(refunding.request(begin, each) for each in (wish, wish, again, again)))
    await bootstrap.carry_out_refunds(payment, processor)
    assert await refunded(account, paid.intent_id) == [1_000]


async def test_wishes_at_the_same_time_share_what_is_left(
    payment: asyncpg.Pool, processor: StripeProcessor, account: stripe.StripeClient, order: str
) -> None:
    paid = await captured(payment, processor, order)
    await asyncio.gather(*(ask(payment, order, 1_500) for _ in range(8)))
    assert await statuses(payment) == ["failed"] * 5 + ["requested"] * 3
    await asyncio.gather(*(bootstrap.carry_out_refunds(payment, processor) for _ in range(4)))
    assert await refunded(account, paid.intent_id) == [1_500] * 3
    assert (await balances(payment))["processor_clearing"] == 500


async def test_without_the_lock_the_same_wishes_promise_too_much(
    payment: asyncpg.Pool, processor: StripeProcessor, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await captured(payment, processor, order)
    met = asyncio.Barrier(8)
    refundable = refunding.refundable

    async def together(tx: Transaction, paid: Payment) -> int:
        left = await refundable(tx, paid)
        await met.wait()
        return left

    monkeypatch.setattr("services.payment.adapters.store.PostgresStore.lock", _unlocked)
    monkeypatch.setattr(refunding, "refundable", together)
    await asyncio.gather(*(ask(payment, order, 1_500) for _ in range(8)))
    assert len(await statuses(payment)) == 8
    assert "failed" not in await statuses(payment), "the guard is broken here on purpose: its loss must show"


async def _unlocked(store: PostgresStore, order_id: uuid.UUID, attempt: int) -> Payment | None:
    return await store.payment(order_id, attempt)


@pytest.mark.parametrize("mode", ["drop-after", "drop-before"])
async def test_a_lost_answer_leaves_the_refund_waiting_and_refunds_once(
    payment: asyncpg.Pool,
    processor: StripeProcessor,
    account: stripe.StripeClient,
    stripe_faults: Faults,
    order: str,
    mode: str,
) -> None:
    paid = await captured(payment, processor, order)
    await ask(payment, order, 1_000)
    stripe_faults(mode=mode, operation="refund", count=4)
    with pytest.raises(Unknown):
        await bootstrap.carry_out_refunds(payment, processor)
    assert await statuses(payment) == ["requested"]
    await payment.execute("UPDATE refunds SET available_at = now()")
    await bootstrap.carry_out_refunds(payment, processor)
    assert (await statuses(payment), await refunded(account, paid.intent_id)) == (["succeeded"], [1_000])


async def test_a_key_that_stripe_has_forgotten_is_not_used_to_refund_again(
    payment: asyncpg.Pool,
    processor: StripeProcessor,
    account: stripe.StripeClient,
    stripe_faults: Faults,
    order: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paid = await captured(payment, processor, order)
    await ask(payment, order, 1_000)
    stripe_faults(mode="drop-after", operation="refund", count=4)
    with pytest.raises(Unknown):
        await bootstrap.carry_out_refunds(payment, processor)
    await payment.execute("UPDATE refunds SET available_at = now(), requested_at = now() - interval '24 hours'")
    monkeypatch.setattr("services.payment.domain.Refund.key", property(lambda _: uuid.uuid4().hex))
    await bootstrap.carry_out_refunds(payment, processor)
    assert (await statuses(payment), await refunded(account, paid.intent_id)) == (["succeeded"], [1_000])


async def test_a_refund_that_fails_later_is_taken_out_of_the_books(
    payment: asyncpg.Pool, processor: StripeProcessor, stripe_server: str, order: str
) -> None:
    paid = await captured(payment, processor, order, fee=100)
    before = await balances(payment)
    await ask(payment, order, 5_000)
    await bootstrap.carry_out_refunds(payment, processor)
    await happen(
        stripe_server, "end-refund", await payment.fetchval("SELECT provider_id FROM refunds"), status="failed"
    )
    for _ in range(2):
        await following.follow_intent(processor, transactions(payment), str(paid.intent_id), ["refund.failed"])
    assert (await status(payment, order), await balances(payment)) == (Status.CAPTURED, before)
    assert len(await said(payment, Event.PAYMENT_REFUND_FAILED)) == 1
    await ask(payment, order, 5_000)
    await bootstrap.carry_out_refunds(payment, processor)
    assert (await statuses(payment), await balances(payment)) == (["failed", "succeeded"], {})


async def test_a_refund_that_the_provider_is_still_at_is_settled_by_its_webhook(
    payment: asyncpg.Pool, processor: StripeProcessor, stripe_server: str, account: stripe.StripeClient, order: str
) -> None:
    paid = await captured(payment, processor, order)
    made = account.v1.refunds.create({"payment_intent": str(paid.intent_id), "amount": 700})
    await happen(stripe_server, "end-refund", made.id, status="pending")
    intent = str(paid.intent_id)
    await following.follow_intent(processor, transactions(payment), intent, ["refund.created"])
    await payment.execute("UPDATE refunds SET available_at = now()")
    await bootstrap.carry_out_refunds(payment, processor)
    assert await statuses(payment) == ["requested"], "one that is there already is looked up, not made again"
    await happen(stripe_server, "end-refund", made.id, status="succeeded")
    await following.follow_intent(processor, transactions(payment), intent, ["refund.updated"])
    assert (await statuses(payment), await refunded(account, intent)) == (["succeeded"], [700])
    assert (await balances(payment))["processor_clearing"] == 4_300


@pytest.mark.parametrize("kinds", itertools.permutations(["charge.refunded", "refund.updated", "refund.failed"]))
async def test_webhooks_in_any_order_come_to_the_same(
    payment: asyncpg.Pool, processor: StripeProcessor, account: stripe.StripeClient, order: str, kinds: tuple[str, ...]
) -> None:
    paid = await captured(payment, processor, order)
    account.v1.refunds.create({"payment_intent": str(paid.intent_id), "amount": 5_000})
    for number, kind in enumerate(kinds):
        await webhooks.record(payment, f"evt_{number}", kind, paid.intent_id)
        await bootstrap.follow_webhooks(payment, processor)
    assert (await status(payment, order), await statuses(payment)) == (Status.REFUNDED, ["succeeded"])
    assert await balances(payment) == {}


async def test_a_refund_that_the_provider_refuses_is_said_to_have_failed(
    payment: asyncpg.Pool, processor: StripeProcessor, account: stripe.StripeClient, order: str
) -> None:
    paid = await captured(payment, processor, order)
    await ask(payment, order, 5_000)
    account.v1.refunds.create({"payment_intent": str(paid.intent_id)})
    await bootstrap.carry_out_refunds(payment, processor)
    assert len(await said(payment, Event.PAYMENT_REFUND_FAILED)) == 1
    await following.follow_intent(processor, transactions(payment), str(paid.intent_id), ["charge.refunded"])
    assert (await statuses(payment), await balances(payment)) == (["failed", "succeeded"], {})


async def test_the_saga_refunds_what_the_buyer_has_not_got_back_yet(
    payment: asyncpg.Pool, processor: StripeProcessor, account: stripe.StripeClient, order: str
) -> None:
    paid = await captured(payment, processor, order)
    await ask(payment, order, 1_000)
    await bootstrap.carry_out_refunds(payment, processor)
    assert (await carry_out(payment, processor, Command.REFUND, order)).error is None
    assert await refunded(account, paid.intent_id) == [4_000, 1_000]
    assert (await status(payment, order), await balances(payment)) == (Status.REFUNDED, {})


async def test_the_loop_finishes_what_a_killed_saga_worker_began(
    payment: asyncpg.Pool,
    processor: StripeProcessor,
    account: stripe.StripeClient,
    stripe_faults: Faults,
    order: str,
) -> None:
    paid = await captured(payment, processor, order)
    stripe_faults(mode="drop-after", operation="refund", count=4)
    with pytest.raises(Retry):
        await carry_out(payment, processor, Command.REFUND, order)
    await payment.execute("UPDATE refunds SET available_at = now()")
    await bootstrap.carry_out_refunds(payment, processor)
    answer = await carry_out(payment, processor, Command.REFUND, order)
    assert answer.output == {"refundId": str(await payment.fetchval("SELECT id FROM refunds"))}
    assert await refunded(account, paid.intent_id) == [5_000]


async def test_nothing_is_refunded_while_a_dispute_is_open(
    payment: asyncpg.Pool, processor: StripeProcessor, stripe_server: str, account: stripe.StripeClient, order: str
) -> None:
    paid = await captured(payment, processor, order)
    await ask(payment, order, 1_000)
    # An inquiry: the provider itself would still refund.
    dispute = await happen(stripe_server, "dispute", paid.intent_id, status="warning_needs_response")
    intent, kinds = str(paid.intent_id), ["charge.dispute.created"]
    await following.follow_intent(processor, transactions(payment), intent, kinds)
    await ask(payment, order, 500)
    await bootstrap.carry_out_refunds(payment, processor)
    with pytest.raises(Retry, match="disputed"):
        await carry_out(payment, processor, Command.REFUND, order)
    assert (await statuses(payment), await refunded(account, intent)) == (["failed", "failed"], [])
    await happen(stripe_server, "end-dispute", str(dispute["id"]), status="warning_closed")
    await following.follow_intent(processor, transactions(payment), intent, kinds)
    assert (await carry_out(payment, processor, Command.REFUND, order)).error is None
    assert await refunded(account, intent) == [5_000]


async def test_a_dispute_that_was_lost_leaves_nothing_to_refund(
    payment: asyncpg.Pool, processor: StripeProcessor, stripe_server: str, account: stripe.StripeClient, order: str
) -> None:
    paid = await captured(payment, processor, order)
    dispute = await happen(stripe_server, "dispute", paid.intent_id)
    await happen(stripe_server, "end-dispute", str(dispute["id"]), status="lost")
    await following.follow_intent(processor, transactions(payment), str(paid.intent_id), ["charge.dispute.closed"])
    assert (await carry_out(payment, processor, Command.REFUND, order)).output == {"refundId": None}
    assert await refunded(account, paid.intent_id) == []


async def test_an_event_without_an_amount_is_for_the_dead_letters(payment: asyncpg.Pool, order: str) -> None:
    with pytest.raises(ValueError, match="must be 1 or more"):
        await ask(payment, order, 0)
    assert await payment.fetchval("SELECT count(*) FROM inbox") == 0


async def test_a_stale_pending_answer_does_not_undo_a_refund(
    payment: asyncpg.Pool, processor: StripeProcessor, order: str
) -> None:
    paid = await captured(payment, processor, order)
    await ask(payment, order, 1_000)
    await bootstrap.carry_out_refunds(payment, processor)
    [answer] = await processor.refunds_of(str(paid.intent_id))
    stale = type(answer)(answer.id, RefundStatus.REQUESTED, answer.amount, answer.refund_id)
    async with transactions(payment)() as tx:
        await refunding.adopt(tx, paid, stale)
    assert await statuses(payment) == ["succeeded"]


async def test_refunds_of_a_time_are_listed_page_by_page(
    payment: asyncpg.Pool, processor: StripeProcessor, account: stripe.StripeClient, order: str
) -> None:
    paid = await captured(payment, processor, order)
    made = {account.v1.refunds.create({"payment_intent": str(paid.intent_id), "amount": 1}).id for _ in range(105)}
    now = datetime.now(UTC)
    window = processor.refunds(now - timedelta(minutes=5), now + timedelta(minutes=5))
    assert made <= {refund.id async for refund in window}
