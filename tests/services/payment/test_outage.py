"""Stripe is away: commands end soon and undecided, and what was asked for stays unknown until it is known."""

from __future__ import annotations

import uuid

import asyncpg
import pytest
import stripe

from services.common.breaker import Breaker, State
from services.common.saga_worker import Retry
from services.contracts import Command, Failure
from services.payment.adapters.stripe import LOST, StripeProcessor
from services.payment.domain import Status
from tests.services.payment.support import Faults, carry_out, intents, status


@pytest.fixture
def breaker() -> Breaker:
    return Breaker("stripe of the tests", LOST, failures=2, seconds=0.0)


@pytest.fixture
def processor(stripe_server: str, breaker: Breaker) -> StripeProcessor:
    return StripeProcessor("sk_test_local", stripe_server, timeout=2, pause=0.02, breaker=breaker)


async def test_an_open_circuit_answers_at_once_and_asks_nothing(
    payment: asyncpg.Pool,
    processor: StripeProcessor,
    breaker: Breaker,
    account: stripe.StripeClient,
    order: str,
) -> None:
    breaker.state = State.HALF_OPEN  # somebody else is finding out
    with pytest.raises(Retry) as away:
        await carry_out(payment, processor, Command.AUTHORISE, order)
    assert away.value.failure is Failure.TRANSIENT
    assert intents(account, order) == []
    breaker.state = State.CLOSED
    assert (await carry_out(payment, processor, Command.AUTHORISE, order)).error is None


async def test_a_circuit_that_opens_on_the_way_leaves_the_outcome_unknown(
    payment: asyncpg.Pool, stripe_server: str, account: stripe.StripeClient, stripe_faults: Faults, order: str
) -> None:
    away = Breaker("stripe of the tests", LOST, failures=2, seconds=60.0)
    processor = StripeProcessor("sk_test_local", stripe_server, timeout=2, pause=0.02, breaker=away)
    await carry_out(payment, processor, Command.AUTHORISE, order)
    stripe_faults(mode="drop-after", operation="capture", count=2)
    with pytest.raises(Retry) as lost:
        await carry_out(payment, processor, Command.CAPTURE, order)
    assert (lost.value.failure, away.state) == (Failure.PAYMENT_UNKNOWN, State.OPEN)
    assert await status(payment, order) is Status.AUTHORISED
    with pytest.raises(Retry) as closed:
        await carry_out(payment, processor, Command.CAPTURE, order)
    assert closed.value.failure is Failure.TRANSIENT
    patient = StripeProcessor("sk_test_local", stripe_server, timeout=2, pause=0.02)
    assert (await carry_out(payment, patient, Command.CAPTURE, order)).error is None
    assert [i.amount_received for i in intents(account, order)] == [5_000]


async def test_after_an_outage_the_probe_closes_the_circuit(
    payment: asyncpg.Pool, processor: StripeProcessor, breaker: Breaker, stripe_faults: Faults
) -> None:
    stripe_faults(mode="error-500", operation="create", count=3)
    await carry_out(payment, processor, Command.AUTHORISE, str(uuid.uuid4()))
    assert breaker.state is State.CLOSED
