"""The code on a ticket: which ticket of which event, signed with Ed25519, so a door can check it without a network."""

from __future__ import annotations

import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

# Version, ticket, event, signature (RFC 8032: 64 bytes): 97 bytes are 130 characters, a QR code of version 6.
_VERSION = b"\x01"
_LENGTH = 1 + 16 + 16 + 64


class InvalidCode(ValueError):
    """Not a code that we signed."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs codes with the platform's key."""

    key: Ed25519PrivateKey

    @classmethod
    def from_pem(cls, pem: str) -> Signer:
        """Raises ValueError when ``pem`` is not an Ed25519 private key."""
        try:
            key = load_pem_private_key(pem.encode(), password=None)
        except ValueError:
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError(
                "TICKET_SIGNING_KEY is not an unencrypted Ed25519 private key in PEM; make one: "
                "openssl genpkey -algorithm ed25519"
            )
        return cls(key)

    def code(self, ticket_id: uuid.UUID, event_id: uuid.UUID) -> str:
        """The code of a ticket; the same at every call."""
        body = _VERSION + ticket_id.bytes + event_id.bytes
        return urlsafe_b64encode(body + self.key.sign(body)).decode().rstrip("=")

    @property
    def public_pem(self) -> str:
        """The public key, for doors that check offline."""
        return self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def verify(code: str, key: Ed25519PublicKey) -> tuple[uuid.UUID, uuid.UUID]:
    """The (ticket id, event id) of a genuine code. Raises InvalidCode."""
    try:
        raw = urlsafe_b64decode(code + "=" * (-len(code) % 4))
        if len(raw) != _LENGTH or raw[:1] != _VERSION or urlsafe_b64encode(raw).decode().rstrip("=") != code:
            raise InvalidCode("not a ticket code")
        key.verify(raw[33:], raw[:33])
    except (ValueError, InvalidSignature) as error:
        raise InvalidCode("not a ticket code of this platform") from error
    return uuid.UUID(bytes=raw[1:17]), uuid.UUID(bytes=raw[17:33])
