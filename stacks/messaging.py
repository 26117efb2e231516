"""Who says what over the broker, and who listens: the subscriptions of the services (tests hold them to their code)."""

from __future__ import annotations

from components.broker_topology import Subscription
from stacks.settings import ServiceName

PUBLISHERS: tuple[ServiceName, ...] = ("booking", "payment")
NOTIFICATION = Subscription(
    service="notification",
    queue="notification.events",
    topics=(
        *("order.*", "ticket.*", "offer.made", "buyer.erased"),
        *("payment.action_required", "payment.refund_failed", "payment.disputed"),
    ),
)
# A refund goes to and fro: booking's wish to payment, and what became of it to booking. Who was erased is everybody's.
PAYMENT = Subscription(service="payment", queue="payment.orders", topics=("order.refund_requested", "buyer.erased"))
BOOKING = Subscription(service="booking", queue="booking.refunds", topics=("payment.refunded", "payment.refund_failed"))
SUBSCRIPTIONS = (NOTIFICATION, PAYMENT, BOOKING)
SET_UP = ("python", "-m", "services.common.topology")
