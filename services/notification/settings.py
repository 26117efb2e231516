"""What the processes of notification read from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Annotated

from pydantic import AfterValidator, Field, PositiveFloat, SecretStr

from services.common import retention
from services.common.settings import AuthSettings, BrokerSettings, DatabaseSettings, HttpsUrl, ServiceSettings
from services.common.settings import WorkerSettings as SagaWorkerSettings
from services.notification.retention import RULES
from services.notification.workflows.model import Channel

# Messages a second: what providers take from a new account without a word (Twilio: one SMS a second for each long
# number, ten numbers; Amazon SES out of its sandbox: 14).
_PER_SECOND = {Channel.EMAIL: 14.0, Channel.SMS: 10.0}


class ApiSettings(AuthSettings, DatabaseSettings):
    """The API: one's own feed and preferences, and Novu's webhooks."""

    novu_webhook_secret: SecretStr | None = Field(
        default=None, description="signing secret of Novu's webhook endpoint (whsec_…); without it none is accepted"
    )


class NovuSettings(ServiceSettings):
    """A process that calls Novu."""

    novu_api_key: SecretStr = Field(min_length=8)
    novu_api_base: HttpsUrl = "https://api.novu.co"


class NotificationWorkerSettings(NovuSettings, SagaWorkerSettings):
    """The worker: the saga's last step, and the sender of what is queued."""

    site_url: HttpsUrl = Field(
        default="https://tickets.event-platform.example", description="the public pages that messages lead to"
    )
    notification_per_second: Mapping[Channel, PositiveFloat] = Field(
        default=_PER_SECOND, description="JSON: channel → messages a second, all processes together"
    )
    retention_ages: Annotated[Mapping[str, timedelta], AfterValidator(partial(retention.checked, RULES))] = Field(
        default={}, description="JSON: rule → ISO 8601 duration, where it is not the rule's own (docs/privacy.md)"
    )


class ConsumerSettings(BrokerSettings):
    """The consumer of events."""
