"""Everything that we ask of Stripe has the form of Stripe's own OpenAPI document.

Stripe's mock answers from fixtures and keeps nothing: what the answers mean is the local Stripe's part.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from scripts.local import processes
from scripts.toolchain import stripe_mock
from services.payment.adapters.stripe import StripeProcessor
from services.payment.domain import Payment, Refund, RefundStatus, Status

NOW = datetime.now(UTC)
PAYMENT = Payment(
    order_id=uuid.UUID(int=1),
    attempt=1,
    buyer_id="buyer-1",
    amount=5_000,
    currency="eur",
    payment_method="pm_card_visa",
    status=Status.STARTED,
    intent_id=None,
    refund_id=None,
    reason=None,
    created_at=NOW,
)
REFUND = Refund(
    id=uuid.UUID(int=2),
    order_id=PAYMENT.order_id,
    attempt=1,
    amount=1_000,
    reason="requested",
    status=RefundStatus.REQUESTED,
    provider_id=None,
    failure=None,
    requested_at=NOW,
)
Call = Callable[[StripeProcessor], Awaitable[object]]


@pytest.fixture(scope="module")
def mock(folder: Path) -> Iterator[str]:
    port = processes.free_port()
    server = processes.Server(
        name="stripe-mock",
        command=[str(stripe_mock.obtain(print)), "-http-addr", f"127.0.0.1:{port}"],
        log=folder / "stripe-mock.log",
        grace=5,
    )
    with processes.serving(server, lambda: processes.listening("127.0.0.1", port)):
        yield f"http://127.0.0.1:{port}"


async def window(processor: StripeProcessor) -> None:
    # The mock's pages never end, so one row of each will do.
    since = NOW - timedelta(hours=1)
    assert await anext(processor.intents(since, NOW))
    assert await anext(processor.refunds(since, NOW))


@pytest.mark.parametrize(
    "call",
    [
        lambda stripe: stripe.create(PAYMENT),
        lambda stripe: stripe.confirm(PAYMENT, "pi_1"),
        lambda stripe: stripe.capture(PAYMENT, "pi_1"),
        lambda stripe: stripe.cancel(PAYMENT, "pi_1"),
        lambda stripe: stripe.fetch("pi_1"),
        lambda stripe: stripe.refund(REFUND, "pi_1"),
        lambda stripe: stripe.refunds_of("pi_1"),
        lambda stripe: stripe.disputes_of("pi_1"),
        lambda stripe: stripe.payout("tr_1"),
        lambda stripe: stripe.payout("po_1"),
        window,
    ],
    ids=[
        *("create", "confirm", "capture", "cancel", "fetch", "refund", "refunds", "disputes", "transfer", "payout"),
        "window",
    ],
)
async def test_a_request_of_ours_is_one_of_stripes(mock: str, call: Call) -> None:
    assert await call(StripeProcessor("sk_test_123", mock, pause=0.02)) is not False


def test_the_mock_refuses_what_stripe_does_not_know(mock: str) -> None:
    wrong = {"payment_intent": "pi_1", "amont": "100"}
    answer = httpx.post(f"{mock}/v1/refunds", data=wrong, headers={"Authorization": "Bearer sk_test_123"})
    assert answer.status_code == 400
