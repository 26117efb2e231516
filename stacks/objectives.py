"""What buyers may expect of the platform, measured by what its processes count (services/common/metrics.py)."""

from __future__ import annotations

from components.slo import Objective

_REQUESTS = "http_request_duration_seconds"
_BOOKING = 'app_kubernetes_io_name="booking",app_kubernetes_io_component="api"'
# Seconds, each an edge of a bucket. A buyer who waits longer for a hold presses the button again.
_FAST, _SOON = "0.5", "60"

OBJECTIVES = (
    Objective(
        name="booking-availability",
        says="Booking answers without an error of its own.",
        target=0.999,
        good=f'{_REQUESTS}_count{{{_BOOKING},status!~"5.."}}',
        all=f"{_REQUESTS}_count{{{_BOOKING}}}",
        runbook="error_budget",
    ),
    Objective(
        name="booking-latency",
        says=f"Booking answers within {_FAST} s.",
        target=0.99,
        good=f'{_REQUESTS}_bucket{{{_BOOKING},le="{_FAST}"}}',
        all=f"{_REQUESTS}_count{{{_BOOKING}}}",
        runbook="error_budget",
    ),
    Objective(
        name="checkout-success",
        says="An order that was paid for gets its tickets, without a person.",
        target=0.999,
        good='saga_commands_total{command="booking.issue_tickets",outcome="succeeded"}',
        all='saga_commands_total{command=~"booking.issue_tickets|booking.needs_operator",outcome="succeeded"}',
        runbook="error_budget",
    ),
    Objective(
        name="notification-delay",
        says=f"Buyers are told within {_SOON} s.",
        target=0.99,
        good=f'event_delay_seconds_bucket{{le="{_SOON}.0"}}',
        all="event_delay_seconds_count",
        runbook="error_budget",
    ),
)
