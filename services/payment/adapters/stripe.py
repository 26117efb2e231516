"""Stripe: PaymentIntents with manual capture, every call with a key of our own, lost answers settled before returning.

The intent is created first and confirmed then, so that its id is known before any money can move: whatever is lost
after that, a
look-up tells. A PaymentIntent is a state machine, so a repeated confirmation, capture or cancellation is refused by
Stripe with `payment_intent_unexpected_state`, and the look-up tells what it is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import stripe
from tenacity import AsyncRetrying, RetryError, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from services.payment.domain import KEY_LIFETIME, Intent, IntentStatus, Payment
from services.payment.ports import Unknown

T = TypeVar("T")

TIMEOUT_SECONDS = 15.0
ATTEMPTS = 4
# Connection lost or timed out; 5xx; 409 while the first request with the key is in flight; 429.
LOST = (stripe.APIConnectionError, stripe.APIError, stripe.RateLimitError)
STATUSES = {
    # A method is given at creation, so one that is missing was declined.
    "requires_payment_method": IntentStatus.DECLINED,
    # A challenge needs the buyer present: not yet offered, so the attempt is declined.
    "requires_action": IntentStatus.DECLINED,
    "requires_confirmation": IntentStatus.UNCONFIRMED,
    "processing": IntentStatus.UNCONFIRMED,
    "requires_capture": IntentStatus.AUTHORISED,
    "succeeded": IntentStatus.CAPTURED,
    "canceled": IntentStatus.CANCELLED,
}


class StripeProcessor:
    """The Processor port on Stripe's API. ``pause`` is the longest pause between two tries, in seconds."""

    def __init__(self, api_key: str, api_base: str, *, timeout: float = TIMEOUT_SECONDS, pause: float = 4.0) -> None:
        client = stripe.StripeClient(
            api_key,
            base_addresses={"api": api_base},
            http_client=stripe.HTTPXClient(timeout=timeout),
            # The SDK would retry with its own rules; ours are below, and tested.
            max_network_retries=0,
        )
        self._intents, self._refunds = client.v1.payment_intents, client.v1.refunds
        self._pause = pause

    async def create(self, payment: Payment) -> Intent:
        """Find or make the intent. An old key is not trusted: the intent is searched for first."""
        if datetime.now(UTC) - payment.created_at > KEY_LIFETIME:
            found = await self._find(payment)
            if found is not None:
                return found
        made = await self._settled(
            lambda: self._intents.create_async(
                {
                    "amount": payment.amount,
                    "currency": payment.currency,
                    "payment_method": payment.payment_method,
                    "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
                    "capture_method": "manual",
                    "metadata": {"order_id": str(payment.order_id), "attempt": str(payment.attempt)},
                },
                {"idempotency_key": payment.key},
            )
        )
        return _intent(made)

    async def confirm(self, payment: Payment, intent_id: str) -> Intent:
        """Authorise the card."""
        return await self._advance(
            intent_id,
            lambda: self._intents.confirm_async(intent_id, {}, {"idempotency_key": f"{payment.key}:confirm"}),
        )

    async def capture(self, payment: Payment, intent_id: str) -> Intent:
        """Take the money."""
        return await self._advance(
            intent_id,
            lambda: self._intents.capture_async(intent_id, {}, {"idempotency_key": f"{payment.key}:capture"}),
        )

    async def cancel(self, payment: Payment, intent_id: str) -> Intent:
        """Give the authorisation up."""
        return await self._advance(
            intent_id,
            lambda: self._intents.cancel_async(intent_id, {}, {"idempotency_key": f"{payment.key}:cancel"}),
        )

    async def refund(self, payment: Payment, intent_id: str) -> str:
        """Refund in full, once: what was refunded under an old key is found first."""
        refunds = await self._settled(lambda: self._refunds.list_async({"payment_intent": intent_id, "limit": 10}))
        for refund in refunds.data:
            if refund.status not in ("failed", "canceled"):
                return str(refund.id)
        made = await self._settled(
            lambda: self._refunds.create_async(
                {"payment_intent": intent_id}, {"idempotency_key": f"refund:{payment.order_id}:{payment.attempt}"}
            )
        )
        return str(made.id)

    async def fetch(self, intent_id: str) -> Intent:
        """Look an intent up."""
        return _intent(await self._settled(lambda: self._intents.retrieve_async(intent_id)))

    async def _advance(self, intent_id: str, call: Callable[[], Awaitable[Any]]) -> Intent:
        try:
            return _intent(await self._settled(call))
        except stripe.CardError as error:
            intent = await self.fetch(intent_id)
            reason = error.code or "declined"
            return Intent(intent.id, IntentStatus.DECLINED, intent.order_id, intent.attempt, reason)
        except stripe.InvalidRequestError as error:
            if error.code != "payment_intent_unexpected_state":
                raise
            return await self.fetch(intent_id)

    async def _settled(self, call: Callable[[], Awaitable[T]]) -> T:
        """The answer of ``call``, which has a key or is a look-up; tried again while the answer is lost."""
        try:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(LOST),
                stop=stop_after_attempt(ATTEMPTS),
                wait=wait_random_exponential(multiplier=self._pause / 8, max=self._pause),
            ):
                with attempt:
                    return await call()
        except RetryError as error:
            raise Unknown(f"Stripe's answer was lost {ATTEMPTS} times") from error
        raise AssertionError("unreachable: the loop returns or raises")

    async def _find(self, payment: Payment) -> Intent | None:
        since = int((payment.created_at - timedelta(minutes=5)).timestamp())
        until = int((payment.created_at + timedelta(hours=25)).timestamp())
        page = await self._settled(
            lambda: self._intents.list_async({"created": {"gte": since, "lte": until}, "limit": 100})
        )
        async for found in page.auto_paging_iter():
            intent = _intent(found)
            if (intent.order_id, intent.attempt) == (str(payment.order_id), payment.attempt):
                return intent
        return None


def _intent(answer: stripe.PaymentIntent) -> Intent:
    found: dict[str, Any] = answer.to_dict()
    metadata, error = found.get("metadata") or {}, found.get("last_payment_error") or {}
    attempt = str(metadata.get("attempt", "1"))
    return Intent(
        id=found["id"],
        status=STATUSES[found["status"]],
        order_id=metadata.get("order_id", ""),
        attempt=int(attempt) if attempt.isdigit() else 1,
        reason="authentication_required" if found["status"] == "requires_action" else error.get("code"),
    )
