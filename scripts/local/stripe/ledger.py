"""PaymentIntents, refunds, disputes, transfers, payouts and events, with Stripe's own transitions and errors.

Sources: docs.stripe.com/payments/paymentintents/lifecycle, /api/idempotent_requests, /testing, /api/errors,
/disputes/how-disputes-work, /refunds.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scripts.local.stripe.books import ApiError, Books, Json, known

# Stripe's test payment methods: the status after confirmation, or the decline.
DECLINES = {
    "pm_card_visa_chargeDeclined": ("card_declined", "generic_decline"),
    "pm_card_chargeDeclined": ("card_declined", "generic_decline"),
    "pm_card_chargeDeclinedInsufficientFunds": ("card_declined", "insufficient_funds"),
    "pm_card_chargeDeclinedExpiredCard": ("expired_card", "expired_card"),
}
CHALLENGES = frozenset(
    {"pm_card_threeDSecureRequired", "pm_card_threeDSecure2Required", "pm_card_authenticationRequired"}
)
# The charge cannot be refunded: its money is with the bank, or gone.
_HELD = ("needs_response", "under_review", "lost")


@dataclass
class Ledger(Books):
    """The transitions: each changes an object, says an event, and answers the object."""

    def create(self, params: Mapping[str, Any]) -> Json:
        """Create a PaymentIntent, and confirm it when asked to."""
        amount, currency = str(params.get("amount", "")), str(params.get("currency", ""))
        if not amount.isdigit() or int(amount) < 1:
            raise ApiError(400, "invalid_request_error", f"Invalid positive integer: {amount!r}", param="amount")
        if len(currency) != 3:
            raise ApiError(400, "invalid_request_error", f"Invalid currency: {currency!r}", param="currency")
        intent_id = f"pi_{secrets.token_hex(12)}"
        intent: Json = {
            "id": intent_id,
            "object": "payment_intent",
            "client_secret": f"{intent_id}_secret_{secrets.token_hex(12)}",
            "amount": int(amount),
            "amount_capturable": 0,
            "amount_received": 0,
            "capture_method": params.get("capture_method", "automatic_async"),
            "created": int(time.time()),
            "currency": currency.lower(),
            "last_payment_error": None,
            "latest_charge": None,
            "livemode": False,
            "metadata": params.get("metadata", {}),
            "payment_method": params.get("payment_method"),
            "payment_method_types": params.get("payment_method_types", ["card"]),
            "status": "requires_confirmation" if params.get("payment_method") else "requires_payment_method",
            "cancellation_reason": None,
        }
        self.intents[intent["id"]] = intent
        self.event("payment_intent.created", intent)
        return self.confirm(intent["id"], {}) if params.get("confirm") == "true" else dict(intent)

    def confirm(self, intent_id: str, params: Mapping[str, Any]) -> Json:
        """Authorise, decline, or ask for a challenge, as the test payment method says."""
        intent = self._expect(
            intent_id, "confirm", "requires_confirmation", "requires_payment_method", "requires_action"
        )
        intent["payment_method"] = method = params.get("payment_method", intent["payment_method"])
        if method is None:
            raise ApiError(
                400, "invalid_request_error", "The PaymentIntent has no payment method.", param="payment_method"
            )
        if method in DECLINES:
            code, decline = DECLINES[method]
            error = {"code": code, "decline_code": decline, "message": "Your card was declined.", "type": "card_error"}
            intent.update(status="requires_payment_method", last_payment_error=error, payment_method=None)
            self.event("payment_intent.payment_failed", intent)
            raise ApiError(
                402, "card_error", error["message"], code=code, decline_code=decline, payment_intent=dict(intent)
            )
        if method in CHALLENGES:
            intent["status"] = "requires_action"
            self.event("payment_intent.requires_action", intent)
            return dict(intent)
        return self._authorise(intent)

    def authenticate(self, intent_id: str, params: Mapping[str, Any]) -> Json:
        """What the buyer does in the bank's own pages: succeed, or fail when ``outcome`` is `failed`."""
        intent = self._expect(intent_id, "authenticate", "requires_action")
        if params.get("outcome") != "failed":
            return self._authorise(intent)
        code = "payment_intent_authentication_failure"
        error = {"code": code, "message": "We are unable to authenticate your card.", "type": "card_error"}
        intent.update(status="requires_payment_method", last_payment_error=error, payment_method=None)
        self.event("payment_intent.payment_failed", intent)
        return dict(intent)

    def _authorise(self, intent: Json) -> Json:
        intent["latest_charge"] = f"ch_{secrets.token_hex(12)}"
        if intent["capture_method"] == "manual":
            intent.update(status="requires_capture", amount_capturable=intent["amount"])
            self.event("payment_intent.amount_capturable_updated", intent)
        else:
            intent.update(status="succeeded", amount_received=intent["amount"])
            self.event("payment_intent.succeeded", intent)
        return dict(intent)

    def capture(self, intent_id: str, params: Mapping[str, Any]) -> Json:
        """Take the money, or part of it."""
        intent = self._expect(intent_id, "capture", "requires_capture")
        amount = int(params.get("amount_to_capture", intent["amount_capturable"]))
        if not 0 < amount <= intent["amount_capturable"]:
            raise ApiError(400, "invalid_request_error", "More than is capturable.", param="amount_to_capture")
        intent.update(status="succeeded", amount_received=amount, amount_capturable=0)
        self.event("payment_intent.succeeded", intent)
        return dict(intent)

    def cancel(self, intent_id: str, params: Mapping[str, Any]) -> Json:
        """Give the intent up."""
        intent = self._expect(
            intent_id,
            "cancel",
            "requires_payment_method",
            "requires_confirmation",
            "requires_action",
            "requires_capture",
        )
        intent.update(status="canceled", amount_capturable=0, cancellation_reason=params.get("cancellation_reason"))
        self.event("payment_intent.canceled", intent)
        return dict(intent)

    def retrieve(self, intent_id: str) -> Json:
        """An intent."""
        return dict(self._intent(intent_id))

    def refund(self, params: Mapping[str, Any]) -> Json:
        """Refund a captured intent, in full unless an amount is given; a disputed charge is not refunded."""
        intent = self._intent(str(params.get("payment_intent", "")))
        if any(d["payment_intent"] == intent["id"] and d["status"] in _HELD for d in self.disputes.values()):
            raise ApiError(400, "invalid_request_error", "The charge has been disputed.", code="charge_disputed")
        refunded = sum(
            r["amount"]
            for r in self.refunds.values()
            if r["payment_intent"] == intent["id"] and r["status"] not in ("failed", "canceled")
        )
        amount = int(params.get("amount", intent["amount_received"] - refunded))
        if amount < 1 or refunded + amount > intent["amount_received"]:
            raise ApiError(
                400, "invalid_request_error", "The charge has already been refunded.", code="charge_already_refunded"
            )
        refund = self.add(self.refunds, "re", "refund", intent, amount, params)
        refund["status"] = "succeeded"
        self.event("refund.created", refund)
        self.event("charge.refunded", {**refund, "object": "charge", "id": intent["latest_charge"]})
        return dict(refund)

    def end_refund(self, refund_id: str, status: str) -> Json:
        """Let the buyer's bank answer: a refund that stood may still fail (docs.stripe.com/refunds)."""
        refund = known(self.refunds, refund_id, "refund")
        refund.update(status=status, failure_reason="lost_or_stolen_card" if status == "failed" else None)
        self.event("refund.failed" if status == "failed" else "refund.updated", refund)
        return dict(refund)

    def dispute(self, intent_id: str, params: Mapping[str, Any]) -> Json:
        """The buyer's bank disputes a captured intent."""
        intent = self._expect(intent_id, "dispute", "succeeded")
        amount = int(params.get("amount", intent["amount_received"]))
        dispute = self.add(self.disputes, "dp", "dispute", intent, amount, params)
        dispute.update(status=params.get("status", "needs_response"), reason="fraudulent")
        self.event("charge.dispute.created", dispute)
        return dict(dispute)

    def end_dispute(self, dispute_id: str, status: str) -> Json:
        """The bank decides: `won` or `lost`, or says something else."""
        dispute = known(self.disputes, dispute_id, "dispute")
        dispute["status"] = status
        closed = status in ("won", "lost", "warning_closed")
        self.event(f"charge.dispute.{'closed' if closed else 'updated'}", dispute)
        return dict(dispute)

    def transfer(self, params: Mapping[str, Any]) -> Json:
        """Money to a connected account."""
        return self._pay("tr", "transfer", params, destination=params.get("destination"), amount_reversed=0)

    def payout(self, params: Mapping[str, Any]) -> Json:
        """Money to the bank, paid at once."""
        return self._pay("po", "payout", params, status="paid")

    def retrieve_payout(self, payout_id: str) -> Json:
        """A transfer or a payout."""
        return dict(known(self.payouts, payout_id, "payout"))

    def change_payout(self, payout_id: str, changes: Mapping[str, Any]) -> Json:
        """What happens to money on its way: another status, or an amount that is reversed."""
        payout = known(self.payouts, payout_id, "payout")
        payout.update(changes)
        self.event(f"{payout['object']}.updated", payout)
        return dict(payout)

    def _pay(self, prefix: str, kind: str, params: Mapping[str, Any], **more: Any) -> Json:
        terms = {"currency": str(params.get("currency", "")).lower(), "id": None, "latest_charge": None}
        made = self.add(self.payouts, prefix, kind, terms, int(params["amount"]), params)
        made.update(more)
        self.event(f"{kind}.created", made)
        return dict(made)

    def _intent(self, intent_id: str) -> Json:
        return known(self.intents, intent_id, "payment_intent")

    def _expect(self, intent_id: str, verb: str, *statuses: str) -> Json:
        intent = self._intent(intent_id)
        if intent["status"] not in statuses:
            raise ApiError(
                400,
                "invalid_request_error",
                f"You cannot {verb} this PaymentIntent because it has a status of {intent['status']}.",
                code="payment_intent_unexpected_state",
                payment_intent=dict(intent),
            )
        return intent
