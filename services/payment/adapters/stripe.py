"""Stripe: PaymentIntents with manual capture, every call with a key of our own, lost answers settled before returning.

The intent is created first and confirmed then, so that its id is known before any money can move: whatever is lost
after that, a look-up tells. A PaymentIntent is a state machine, so a repeated confirmation, capture or cancellation is
refused by Stripe with `payment_intent_unexpected_state`, and the look-up tells what it is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import stripe
from tenacity import AsyncRetrying, RetryError, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from services.common.breaker import Breaker, CircuitOpen
from services.payment.adapters import stripe_objects as objects
from services.payment.domain import (
    KEY_LIFETIME,
    Dispute,
    Intent,
    IntentStatus,
    Payment,
    Payout,
    ProviderRefund,
    Refund,
    RefundStatus,
)
from services.payment.ports import Missing, Unavailable, Unknown

T = TypeVar("T")

TIMEOUT_SECONDS = 15.0
ATTEMPTS = 4
# Connection lost or timed out; 5xx; 409 while the first request with the key is in flight; 429.
LOST = (stripe.APIConnectionError, stripe.APIError, stripe.RateLimitError)


class StripeProcessor:
    """The Processor port on Stripe's API. ``pause`` is the longest pause between two tries, in seconds."""

    def __init__(
        self,
        api_key: str,
        api_base: str,
        *,
        timeout: float = TIMEOUT_SECONDS,
        pause: float = 4.0,
        breaker: Breaker | None = None,
    ) -> None:
        client = stripe.StripeClient(
            api_key,
            base_addresses={"api": api_base},
            http_client=stripe.HTTPXClient(timeout=timeout),
            # The SDK would retry with its own rules; ours are below, and tested.
            max_network_retries=0,
        )
        self._api, self._pause = client.v1, pause
        self._breaker = breaker or Breaker("stripe", LOST)

    async def create(self, payment: Payment) -> Intent:
        """Find or make the intent. An old key is not trusted: the intent is searched for first."""
        if datetime.now(UTC) - payment.created_at > KEY_LIFETIME:
            since = payment.created_at - timedelta(minutes=5)
            async for found in self.intents(since, payment.created_at + timedelta(hours=25)):
                if (found.order_id, found.attempt) == (str(payment.order_id), payment.attempt):
                    return found
        made = await self._settled(
            lambda: self._api.payment_intents.create_async(
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
        return objects.intent(made.to_dict())

    async def confirm(self, payment: Payment, intent_id: str) -> Intent:
        """Authorise the card."""
        key = f"{payment.key}:confirm"
        return await self._advance(
            intent_id, lambda: self._api.payment_intents.confirm_async(intent_id, {}, {"idempotency_key": key})
        )

    async def capture(self, payment: Payment, intent_id: str) -> Intent:
        """Take the money."""
        key = f"{payment.key}:capture"
        return await self._advance(
            intent_id, lambda: self._api.payment_intents.capture_async(intent_id, {}, {"idempotency_key": key})
        )

    async def cancel(self, payment: Payment, intent_id: str) -> Intent:
        """Give the authorisation up."""
        key = f"{payment.key}:cancel"
        return await self._advance(
            intent_id, lambda: self._api.payment_intents.cancel_async(intent_id, {}, {"idempotency_key": key})
        )

    async def refund(self, refund: Refund, intent_id: str) -> ProviderRefund:
        """Refund once: what was refunded under a key that may be forgotten is found first."""
        if datetime.now(UTC) - refund.requested_at > KEY_LIFETIME:
            for found in await self.refunds_of(intent_id):
                if found.refund_id == refund.id:
                    return found
        try:
            made = await self._settled(
                lambda: self._api.refunds.create_async(
                    {
                        "payment_intent": intent_id,
                        "amount": refund.amount,
                        "metadata": {"refund_id": str(refund.id)},
                    },
                    {"idempotency_key": refund.key},
                )
            )
        except stripe.InvalidRequestError as error:
            failure = error.code or "refused"
            return ProviderRefund(None, RefundStatus.FAILED, refund.amount, refund.id, intent_id, failure)
        return objects.refund(made.to_dict())

    async def fetch(self, intent_id: str) -> Intent:
        """Look an intent up."""
        return objects.intent(await self._found(lambda: self._api.payment_intents.retrieve_async(intent_id)))

    async def refunds_of(self, intent_id: str) -> list[ProviderRefund]:
        """The refunds of an intent."""
        pages = self._pages(self._api.refunds.list_async, {"payment_intent": intent_id})
        return [objects.refund(each) async for each in pages]

    async def disputes_of(self, intent_id: str) -> list[Dispute]:
        """The disputes of an intent."""
        pages = self._pages(self._api.disputes.list_async, {"payment_intent": intent_id})
        return [objects.dispute(each) async for each in pages]

    async def payout(self, payout_id: str) -> Payout:
        """Look a transfer (`tr_…`) or a payout up."""
        service: Any = self._api.transfers if payout_id.startswith("tr_") else self._api.payouts
        return objects.payout(await self._found(lambda: service.retrieve_async(payout_id)))

    async def intents(self, since: datetime, until: datetime) -> AsyncIterator[Intent]:
        """The intents of a time window."""
        async for each in self._pages(self._api.payment_intents.list_async, _window(since, until)):
            yield objects.intent(each)

    async def refunds(self, since: datetime, until: datetime) -> AsyncIterator[ProviderRefund]:
        """The refunds of a time window."""
        async for each in self._pages(self._api.refunds.list_async, _window(since, until)):
            yield objects.refund(each)

    async def undelivered(self, since: datetime) -> list[str]:
        """The events whose webhooks failed or are still tried, one page of them."""
        terms: Any = {"created": {"gte": int(since.timestamp())}, "delivery_success": False, "limit": 100}
        return [event.id for event in (await self._settled(partial(self._api.events.list_async, terms))).data]

    async def _pages(self, call: Callable[..., Awaitable[Any]], terms: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        after: dict[str, str] = {}
        while True:
            page = await self._settled(partial(call, {"limit": 100, **terms, **after}))
            for each in page.data:
                yield each.to_dict()
            if not page.has_more:
                return
            after = {"starting_after": page.data[-1].id}

    async def _found(self, call: Callable[[], Awaitable[Any]]) -> dict[str, Any]:
        try:
            found: dict[str, Any] = (await self._settled(call)).to_dict()
        except stripe.InvalidRequestError as error:
            if error.code != "resource_missing":
                raise
            raise Missing(str(error.user_message)) from error
        return found

    async def _advance(self, intent_id: str, call: Callable[[], Awaitable[Any]]) -> Intent:
        try:
            return objects.intent((await self._settled(call)).to_dict())
        except stripe.CardError as error:
            intent = await self.fetch(intent_id)
            return replace(intent, status=IntentStatus.DECLINED, reason=error.code or "declined")
        except stripe.InvalidRequestError as error:
            if error.code != "payment_intent_unexpected_state":
                raise
            return await self.fetch(intent_id)

    async def _settled(self, call: Callable[[], Awaitable[T]]) -> T:
        """The answer of ``call``, which has a key or is a look-up; tried again while the answer is lost.

        A circuit that opens between two tries leaves the outcome of the earlier ones unknown.
        """
        tried = 0
        try:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(LOST),
                stop=stop_after_attempt(ATTEMPTS),
                wait=wait_random_exponential(multiplier=self._pause / 8, max=self._pause),
            ):
                with attempt:
                    async with self._breaker.watching():
                        tried += 1
                        return await call()
        except RetryError as error:
            raise Unknown(f"Stripe's answer was lost {tried} times") from error
        except CircuitOpen as error:
            if tried:
                raise Unknown(f"Stripe's answer was lost {tried} times") from error
            raise Unavailable(str(error)) from error
        raise AssertionError("unreachable: the loop returns or raises")


def _window(since: datetime, until: datetime) -> dict[str, Any]:
    return {"created": {"gte": int(since.timestamp()), "lt": int(until.timestamp())}}
