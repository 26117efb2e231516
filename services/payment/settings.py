"""What the processes of payment read from the environment."""

from __future__ import annotations

from pydantic import Field, SecretStr

from services.common.settings import AuthSettings, DatabaseSettings, HttpsUrl, WorkerSettings


class ApiSettings(AuthSettings, DatabaseSettings):
    """The API: webhooks in, payments out. It never calls Stripe."""

    stripe_webhook_secret: SecretStr = Field(min_length=8)


class PaymentWorkerSettings(WorkerSettings):
    """The saga worker, which calls Stripe."""

    stripe_api_key: SecretStr = Field(min_length=8)
    stripe_api_base: HttpsUrl = "https://api.stripe.com"
    platform_fee_basis_points: int = Field(default=0, ge=0, le=10_000, description="the platform's part of a sale")
