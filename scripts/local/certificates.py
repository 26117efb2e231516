"""Certificate authorities of the local platform, and the certificates that its parts show each other.

Nothing is skipped for being local: every server speaks TLS as it does on AWS, and every client verifies it, the
services through ``SSL_CERT_FILE``. Private keys are readable by their owner alone. Certificates live for a year, as
kubeadm's do.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = timedelta(days=365)  # kubeadm's default for everything but the authority
RENEW = timedelta(days=30)  # before the end


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as the paths of two PEM files."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority whose files live in one folder."""

    folder: Path
    name: str = "ca"

    @property
    def ca(self) -> Path:
        """Its own certificate, which clients trust."""
        return self.pair.certificate

    @property
    def bundle(self) -> Path:
        """Its certificate and those of the public authorities: what ``SSL_CERT_FILE`` points to."""
        return self.folder / f"{self.name}-bundle.pem"

    @property
    def pair(self) -> Pair:
        """Its own certificate and key."""
        return Pair(self.folder / f"{self.name}.crt", self.folder / f"{self.name}.key")

    def create(self) -> Authority:
        """Make it, unless it is there already."""
        if not self.pair.certificate.exists():
            key = ec.generate_private_key(ec.SECP256R1())
            # A name of its own: a client that trusts two authorities of one name may try the wrong key.
            common = f"event-platform local {self.name} {secrets.token_hex(4)}"
            subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
            usage = x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=True,
                crl_sign=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            )
            builder = (
                _builder(subject, subject, key)
                .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
                .add_extension(usage, critical=True)
            )
            _save(self.pair, builder.sign(key, hashes.SHA256()), key)
            self.bundle.write_bytes(Path(certifi.where()).read_bytes() + self.ca.read_bytes())
        return self

    def issue(
        self, name: str, common_name: str, *, organization: str | None = None, addresses: Iterable[str] = ()
    ) -> Pair:
        """A certificate for user ``common_name`` of group ``organization``; with ``addresses``, for a server too.

        One that is there already is kept while it says the same and is good for another month, so that a kubeconfig
        that a stack exports stays as it is.
        """
        pair = Pair(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        subject = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
        if organization:
            subject.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
        authority = x509.load_pem_x509_certificate(self.pair.certificate.read_bytes())
        signer = serialization.load_pem_private_key(self.pair.key.read_bytes(), None)
        assert isinstance(signer, ec.EllipticCurvePrivateKey)
        alternatives = [_alternative(address) for address in addresses]
        if _still_good(pair, x509.Name(subject), alternatives, authority):
            return pair
        key = ec.generate_private_key(ec.SECP256R1())
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = _builder(x509.Name(subject), authority.subject, key).add_extension(
            x509.BasicConstraints(ca=False, path_length=None), critical=True
        )
        if alternatives:
            usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        _save(pair, builder.sign(signer, hashes.SHA256()), key)
        return pair


@contextmanager
def trusting(bundle: Path) -> Iterator[None]:
    """This process, and everything that it starts meanwhile, trust the certificates in ``bundle``."""
    before = os.environ.get("SSL_CERT_FILE")
    os.environ["SSL_CERT_FILE"] = str(bundle)
    try:
        yield
    finally:
        if before is None:
            del os.environ["SSL_CERT_FILE"]
        else:
            os.environ["SSL_CERT_FILE"] = before


def _still_good(
    pair: Pair, subject: x509.Name, alternatives: list[x509.GeneralName], authority: x509.Certificate
) -> bool:
    try:
        found = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
        found.verify_directly_issued_by(authority)
    except (OSError, ValueError, InvalidSignature):
        return False
    try:
        named = list(found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        named = []
    lasting = found.not_valid_after_utc > datetime.now(UTC) + RENEW
    return pair.key.exists() and lasting and found.subject == subject and named == alternatives


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + LIFETIME)
    )


def _alternative(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    """A private key as every server here reads it."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _save(pair: Pair, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    write_private(pair.key, pem(key))
    pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def write_private(path: Path, content: bytes) -> None:
    """Write a file that its owner alone may read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
