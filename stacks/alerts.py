"""What must not be so in the platform's own processes, as they count it (services/), and what to do about it."""

from __future__ import annotations

from components.alert import Alert
from components.severity import Severity

ALERTS = (
    Alert(
        name="Oversold",
        says="A pool's places do not add up: more may be sold than there are.",
        expr="max(booking_pools_inconsistent) > 0",
        minutes=0,
        severity=Severity.PAGE,
        runbook="oversell_audit",
    ),
    Alert(
        name="SaleOpensSoon",
        says="A sale with a waiting room opens within three hours: decide how many pods and machines it needs.",
        expr="max(booking_sales_soon) > 0",
        minutes=0,
        severity=Severity.TICKET,
        runbook="on_sale_scale_out",
    ),
    Alert(
        name="AdmissionWithoutCache",
        says="Waiting rooms let in a trickle: booking does not reach its cache, or is not let in there.",
        expr="sum(increase(admission_without_cache_total[5m])) > 10",
        minutes=1,
        severity=Severity.PAGE,
        runbook="cache_failover",
    ),
    Alert(
        name="BooksDiffer",
        says="Our books and the payment provider's differ.",
        expr="max(payment_discrepancies_open) > 0",
        minutes=15,
        severity=Severity.PAGE,
        runbook="payment_reconciliation",
    ),
    Alert(
        name="WebhooksMissing",
        says="The payment provider could not deliver what it has to say.",
        expr="max(payment_webhooks_undelivered) > 0",
        minutes=15,
        severity=Severity.TICKET,
        runbook="stripe_webhook_replay",
    ),
    Alert(
        name="EventsStalled",
        says="Events wait to be published: the broker does not take them, or the relay does not run.",
        expr="max by (app_kubernetes_io_name) (outbox_oldest_seconds) > 60",
        minutes=2,
        severity=Severity.PAGE,
        runbook="broker_partition",
    ),
    Alert(
        name="NotificationsLate",
        says="Messages to buyers are due and are not sent.",
        expr="max(notification_oldest_due_seconds) > 120",
        minutes=2,
        severity=Severity.PAGE,
        runbook="notification_backlog",
    ),
    Alert(
        name="NotificationsDead",
        says="Messages to buyers could not be sent at all.",
        expr='sum(increase(notification_deliveries_total{outcome="dead"}[15m])) > 0',
        minutes=0,
        severity=Severity.TICKET,
        runbook="notification_backlog",
    ),
    Alert(
        name="ErasuresFailing",
        says="People who had themselves removed are still known at Novu.",
        # The pause between two attempts grows to an hour (services/notification/adapters/erasures.py).
        expr='sum(increase(notification_erasures_total{outcome="failed"}[2h])) > 0',
        minutes=240,
        severity=Severity.TICKET,
        runbook="notification_backlog",
    ),
)
