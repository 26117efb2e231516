"""`python -m scripts.openapi` writes docs/api/: the OpenAPI document of each service, as its application serves it.

A test holds the files to the applications.
"""

from __future__ import annotations

import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fastapi import FastAPI
from pydantic import SecretStr

from scripts.deployment import ROOT
from services.booking.entrypoints import api as booking
from services.booking.settings import ApiSettings as BookingSettings
from services.notification.entrypoints import api as notification
from services.notification.settings import ApiSettings as NotificationSettings
from services.payment.entrypoints import api as payment
from services.payment.settings import ApiSettings as PaymentSettings

FOLDER = ROOT / "docs" / "api"
# Nothing is connected to: an application is asked for its document before it starts.
_NOWHERE = SecretStr("postgresql://nobody@127.0.0.1:1/none")
_ISSUER = "http://127.0.0.1:1"


def documents() -> dict[Path, str]:
    """Each file and what it must hold."""
    return {
        FOLDER / f"{service}.json": json.dumps(app.openapi(), indent=2, ensure_ascii=False) + "\n"
        for service, app in _applications().items()
    }


def _applications() -> dict[str, FastAPI]:
    key = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return {
        "booking": booking.create_app(
            BookingSettings(
                database_url=_NOWHERE,
                oidc_issuer=_ISSUER,
                aws_region="eu-west-3",
                saga_state_machine_arn="arn:aws:states:eu-west-3:123456789012:stateMachine:order-saga",
                ticket_signing_key=SecretStr(key),
            )
        ),
        "payment": payment.create_app(
            PaymentSettings(database_url=_NOWHERE, oidc_issuer=_ISSUER, stripe_webhook_secret=SecretStr("whsec_none"))
        ),
        "notification": notification.create_app(NotificationSettings(database_url=_NOWHERE, oidc_issuer=_ISSUER)),
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path, text in documents().items():
        path.write_text(text, encoding="utf-8")
