"""What the processes of notification read from the environment."""

from __future__ import annotations

from pydantic import Field, SecretStr

from services.common.settings import AuthSettings, BrokerSettings, DatabaseSettings, HttpsUrl, WorkerSettings


class ApiSettings(AuthSettings, DatabaseSettings):
    """The API: one's own feed."""


class NotificationWorkerSettings(WorkerSettings):
    """The saga worker, which calls Novu."""

    novu_api_key: SecretStr = Field(min_length=8)
    novu_api_base: HttpsUrl = "https://api.novu.co"


class ConsumerSettings(BrokerSettings):
    """The consumer of events, which calls Novu too."""

    novu_api_key: SecretStr = Field(min_length=8)
    novu_api_base: HttpsUrl = "https://api.novu.co"
