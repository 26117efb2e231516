"""The real SDK against the local Stripe, and a look into the provider's own books."""

from __future__ import annotations

import uuid

import pytest
import stripe

from services.payment.adapters.stripe import StripeProcessor


@pytest.fixture
def order() -> str:
    return str(uuid.uuid4())


@pytest.fixture
def processor(stripe_server: str) -> StripeProcessor:
    return StripeProcessor("sk_test_local", stripe_server, timeout=2, pause=0.02)


@pytest.fixture
def account(stripe_server: str) -> stripe.StripeClient:
    return stripe.StripeClient("sk_test_local", base_addresses={"api": stripe_server})
