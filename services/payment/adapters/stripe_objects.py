"""Stripe's objects as this service knows them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from services.payment.domain import Dispute, Intent, IntentStatus, Payout, ProviderRefund, RefundStatus

_INTENTS = {
    # A method is given at creation, so one that is missing was declined.
    "requires_payment_method": IntentStatus.DECLINED,
    "requires_action": IntentStatus.ACTION_REQUIRED,
    "requires_confirmation": IntentStatus.UNCONFIRMED,
    "processing": IntentStatus.UNCONFIRMED,
    "requires_capture": IntentStatus.AUTHORISED,
    "succeeded": IntentStatus.CAPTURED,
    "canceled": IntentStatus.CANCELLED,
}
_REFUNDS = {
    "pending": RefundStatus.REQUESTED,
    "requires_action": RefundStatus.REQUESTED,
    "succeeded": RefundStatus.SUCCEEDED,
    "failed": RefundStatus.FAILED,
    "canceled": RefundStatus.FAILED,
}


def intent(found: Mapping[str, Any]) -> Intent:
    """A PaymentIntent."""
    metadata, error = found.get("metadata") or {}, found.get("last_payment_error") or {}
    attempt = str(metadata.get("attempt", "1"))
    return Intent(
        id=found["id"],
        status=_INTENTS[found["status"]],
        order_id=metadata.get("order_id", ""),
        attempt=int(attempt) if attempt.isdigit() else 1,
        amount=found["amount"],
        reason=error.get("code"),
        client_secret=found.get("client_secret"),
    )


def refund(found: Mapping[str, Any]) -> ProviderRefund:
    """A Refund."""
    return ProviderRefund(
        id=found["id"],
        status=_REFUNDS[found["status"]],
        amount=found["amount"],
        refund_id=_uuid((found.get("metadata") or {}).get("refund_id")),
        intent_id=found.get("payment_intent"),
        failure=found.get("failure_reason"),
    )


def dispute(found: Mapping[str, Any]) -> Dispute:
    """A Dispute."""
    return Dispute(found["id"], found["amount"], found["status"], found["reason"])


def payout(found: Mapping[str, Any]) -> Payout:
    """A Transfer, which has no status of its own, or a Payout, whose destination is the platform's bank."""
    transfer = found["object"] == "transfer"
    returned = found.get("amount_reversed", 0)
    return Payout(
        id=found["id"],
        kind=found["object"],
        amount=found["amount"],
        reversed=returned,
        currency=found["currency"],
        status=("reversed" if returned == found["amount"] else "paid") if transfer else found["status"],
        destination=found.get("destination") if transfer else None,
        created_at=datetime.fromtimestamp(found["created"], UTC),
    )


def _uuid(text: str | None) -> uuid.UUID | None:
    try:
        return uuid.UUID(text) if text else None
    except ValueError:
        return None
