"""What the processes of booking read from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from services.booking.retention import RULES
from services.common import retention
from services.common.settings import AuthSettings, AwsSettings, BrokerSettings, WorkerSettings

_STATE_MACHINE = "^arn:aws[a-z-]*:states:[a-z0-9-]+:[0-9]{12}:stateMachine:[A-Za-z0-9_-]+(:[a-z0-9-]+)?$"


class ApiSettings(AuthSettings, AwsSettings):
    """The API; it reads executions, to show the trail of an order. Without Redis its waiting rooms let a trickle in."""

    ticket_signing_key: SecretStr
    redis_url: SecretStr | None = None
    redis_key_prefix: str = Field(default="", description="how each key begins, where the cache has other tenants")
    saga_state_machine_arn: str = Field(pattern=_STATE_MACHINE)


class BookingWorkerSettings(WorkerSettings):
    """The saga worker, which issues tickets and removes what is old."""

    ticket_signing_key: SecretStr
    retention_ages: Annotated[Mapping[str, timedelta], AfterValidator(partial(retention.checked, RULES))] = Field(
        default={}, description="JSON: rule → ISO 8601 duration, where it is not the rule's own (docs/privacy.md)"
    )


class RelaySettings(BrokerSettings, AwsSettings):
    """The relay, which starts executions."""

    saga_state_machine_arn: str = Field(pattern=_STATE_MACHINE)
    # Step Functions sustains about 125 four-step sagas a second with the default quotas of a big region.
    saga_starts_per_second: float = Field(default=100.0, gt=0)
