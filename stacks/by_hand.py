"""The secrets that only people know: they are declared by the stack and filled in with the AWS CLI, once."""

from __future__ import annotations

from collections.abc import Mapping

# Secret → key of its JSON → what belongs there.
SECRETS_SET_BY_HAND: Mapping[str, Mapping[str, str]] = {
    "booking-signing": {"key": "Ed25519 private key that signs tickets, PEM"},
    "payment-stripe": {"key": "Stripe API key", "webhook": "signing secret of the webhook"},
    "notification-novu": {"key": "Novu API key", "webhook": "signing secret of its webhook"},
    "identity-social": {
        "google_id": "client id of Google sign-in",
        "google_secret": "its secret",
        "facebook_id": "application id of Facebook Login",
        "facebook_secret": "its secret",
    },
    "identity-mail": {
        "host": "SMTP server that takes STARTTLS on port 587",
        "user": "user of the SMTP server",
        "password": "its password",
    },
    "database-authorities": {"bundle": "certificates of RDS's authorities in the Region, PEM; no secret"},
}
# Generated secrets that no schedule changes → why, and how they are changed.
FIXED: Mapping[str, str] = {
    "identity-services": (
        "Keycloak knows one secret of a client at a time, and whoever asks for a token while it changes is turned "
        "away: put a new value at a quiet hour, the realm's job applies it within the hour"
    ),
    "analytics-encryption": (
        "Metabase encrypts the logins that it keeps with it, and reads nothing that another key wrote: "
        "its command rotate-encryption-key writes them anew while it is stopped"
    ),
}


def about(name: str) -> str:
    """One line on what the secret holds. Raises KeyError for one that is not set by hand."""
    return ", ".join(f"{{{key}}}: {what}" for key, what in SECRETS_SET_BY_HAND[name].items())
