"""What buyers may expect of the platform, measured by what its processes count (services/common/metrics.py)."""

from __future__ import annotations

from collections.abc import Mapping

from components import pod
from components.canary_spec import Business, CanarySpec, Limits
from components.severity import Severity
from components.slo import BURNS, Objective
from stacks.settings import SERVICES, ServiceName

_REQUESTS = "http_request_duration_seconds"
# Seconds, each an edge of a bucket. A buyer who waits longer for a hold presses the button again; nobody waits for the
# others.
_WITHIN: Mapping[ServiceName, float] = {"booking": 0.5, "payment": 1.0, "notification": 1.0}
_SOON = "60"
_AVAILABLE, _FAST = 0.999, 0.99


def _of_api(service: ServiceName) -> tuple[Objective, Objective]:
    within = _WITHIN[service]
    api = f'app_kubernetes_io_name="{service}",app_kubernetes_io_component="api"'
    return (
        Objective(
            name=f"{service}-availability",
            says=f"{service.capitalize()} answers without an error of its own.",
            target=_AVAILABLE,
            good=f'{_REQUESTS}_count{{{api},status!~"5.."}}',
            all=f"{_REQUESTS}_count{{{api}}}",
            runbook="error_budget",
        ),
        Objective(
            name=f"{service}-latency",
            says=f"{service.capitalize()} answers within {within:g} s.",
            target=_FAST,
            good=f'{_REQUESTS}_bucket{{{api},le="{within}"}}',
            all=f"{_REQUESTS}_count{{{api}}}",
            runbook="error_budget",
        ),
    )


def canary_limits(service: ServiceName) -> Limits:
    """The worst that a canary of ``service`` may do: what would page if everybody had it.

    Errors at the rate that uses up the month's room fastest of all that page, and the one answer in a hundred that may
    be slower than the objective says.
    """
    paging = max(rate for rate, _, _, severity in BURNS if severity is Severity.PAGE)
    return Limits(error_percent=round(100 * paging * (1 - _AVAILABLE), 2), p99_seconds=_WITHIN[service])


# A booking that is refused is answered without an error: sold out looks like any other day.
_BOOKINGS = Business(
    name="bookings that are refused",
    counter=f"{_REQUESTS}_count",
    all='method="POST",route=~"/holds|/checkout"',
    bad='method="POST",route=~"/holds|/checkout",status!~"2.."',
    most_percent=10.0,
)
_SAGAS = Business(
    name="orders that wait for a person",
    counter="saga_commands_total",
    all='command=~"booking.issue_tickets|booking.needs_operator",outcome="succeeded"',
    bad='command="booking.needs_operator",outcome="succeeded"',
    most_percent=5.0,
    by_track=False,
)
_BUSINESS: Mapping[ServiceName, tuple[Business, ...]] = {
    "booking": (_BOOKINGS, _SAGAS),
    "payment": (_SAGAS,),
    "notification": (),
}


def canary_spec(service: ServiceName) -> CanarySpec:
    """How a release of ``service`` is tried on a few visitors, and what ends that."""
    return CanarySpec(service=service, port=pod.API_PORT, limits=canary_limits(service), business=_BUSINESS[service])


OBJECTIVES = (
    *(objective for service in SERVICES for objective in _of_api(service)),
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
