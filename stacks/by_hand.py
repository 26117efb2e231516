"""The secrets that only people know: they are declared by the stack and filled in with the AWS CLI, once."""

from __future__ import annotations

from collections.abc import Mapping

# Secret → key of its JSON → what belongs there.
SECRETS_SET_BY_HAND: Mapping[str, Mapping[str, str]] = {
    "booking-signing": {"key": "Ed25519 private key that signs tickets, PEM"},
    "payment-stripe": {"key": "Stripe API key", "webhook": "signing secret of the webhook"},
    "notification-novu": {"key": "Novu API key"},
}


def about(name: str) -> str:
    """One line on what the secret holds. Raises KeyError for one that is not set by hand."""
    return ", ".join(f"{{{key}}}: {what}" for key, what in SECRETS_SET_BY_HAND[name].items())
