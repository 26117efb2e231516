"""Every workflow, as data; `python -m services.notification.entrypoints.sync_workflows` brings Novu to it."""

from __future__ import annotations

from typing import Final

from services.contracts import Event
from services.notification.workflows import marketing, orders, payments, tickets
from services.notification.workflows.model import Workflow

WORKFLOWS: Final = {
    workflow.name: workflow
    for workflow in (
        tickets.COMPLETED,
        tickets.TRANSFERRED,
        tickets.RECEIVED,
        orders.CANCELLED,
        orders.REFUNDED,
        orders.OFFER,
        payments.ACTION_REQUIRED,
        payments.REFUND_FAILED,
        payments.DISPUTED,
        marketing.DIGEST,
    )
}


def of(event: Event) -> list[Workflow]:
    """The workflows that tell of ``event``."""
    return [workflow for workflow in WORKFLOWS.values() if workflow.event is event]
