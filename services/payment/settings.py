"""What the processes of payment read from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from services.common import retention
from services.common.settings import AuthSettings, DatabaseSettings, HttpsUrl, WorkerSettings
from services.payment.retention import RULES


class ApiSettings(AuthSettings, DatabaseSettings):
    """The API: webhooks in, payments out. It never calls Stripe."""

    stripe_webhook_secret: SecretStr = Field(min_length=8)


class PaymentWorkerSettings(WorkerSettings):
    """The saga worker, which calls Stripe."""

    stripe_api_key: SecretStr = Field(min_length=8)
    stripe_api_base: HttpsUrl = "https://api.stripe.com"
    platform_fee_basis_points: int = Field(default=0, ge=0, le=10_000, description="the platform's part of a sale")
    retention_ages: Annotated[Mapping[str, timedelta], AfterValidator(partial(retention.checked, RULES))] = Field(
        default={}, description="JSON: rule → ISO 8601 duration, where it is not the rule's own (docs/privacy.md)"
    )
