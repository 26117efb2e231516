"""A certificate authority for one local platform: its servers speak TLS as they do on AWS.

Clients trust it through ``SSL_CERT_FILE``, so the services run the code that they run against Amazon's certificates.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its private key, both PEM files; the key is readable by its owner alone."""

    cert: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Authority:
    """The authority kept in ``folder``: ``ca.pem``, its key, and ``bundle.pem`` (public authorities and ours)."""

    folder: Path

    @classmethod
    def create(cls, folder: Path) -> Authority:
        """The authority in ``folder``, made on first use."""
        authority = cls(folder)
        if not authority.bundle.exists():
            folder.mkdir(parents=True, exist_ok=True)
            key = ec.generate_private_key(ec.SECP256R1())
            name = _name("event-platform local authority")
            cert = (
                _builder(name, name, key.public_key())
                .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
                .add_extension(_usage(signs_certificates=True), critical=True)
                .sign(key, hashes.SHA256())
            )
            _write_key(authority._ca.key, key)
            authority._ca.cert.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
            authority.bundle.write_bytes(Path(certifi.where()).read_bytes() + authority._ca.cert.read_bytes())
        return authority

    @property
    def _ca(self) -> Certificate:
        return Certificate(self.folder / "ca.pem", self.folder / "ca.key")

    @property
    def ca(self) -> Path:
        """The authority's own certificate."""
        return self._ca.cert

    @property
    def bundle(self) -> Path:
        """What ``SSL_CERT_FILE`` points to."""
        return self.folder / "bundle.pem"

    def issue(self, name: str, *hosts: str, organization: str | None = None) -> Certificate:
        """A certificate for ``hosts`` (addresses or DNS names), usable by a server and by a client.

        ``name`` is its common name and ``organization`` its O: what Kubernetes takes for user and group.
        """
        issued = Certificate(*(self.folder / f"{name.replace(':', '-')}.{kind}" for kind in ("pem", "key")))
        ca_key = serialization.load_pem_private_key(self._ca.key.read_bytes(), password=None)
        assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
        ca_cert = x509.load_pem_x509_certificate(self.ca.read_bytes())
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(_name(name, organization), ca_cert.subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
        )
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName([_alt(h) for h in hosts]), critical=False)
        _write_key(issued.key, key)
        issued.cert.write_bytes(builder.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return issued


def _name(common: str, organization: str | None = None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if organization:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + _LIFETIME)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alt(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
