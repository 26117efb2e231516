"""Who says what over the broker, and who listens: the subscriptions of the services (tests hold them to their code)."""

from __future__ import annotations

from components.broker_topology import Subscription
from stacks.settings import ServiceName

PUBLISHERS: tuple[ServiceName, ...] = ("booking", "payment")
NOTIFICATION = Subscription(service="notification", queue="notification.events", topics=("order.*", "ticket.*"))
SUBSCRIPTIONS = (NOTIFICATION,)
SET_UP = ("python", "-m", "services.common.topology")
