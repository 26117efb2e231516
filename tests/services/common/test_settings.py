"""Wrong settings stop a process at its start, with the name, the rule and the remedy, and without the secret."""

from __future__ import annotations

import ssl
import subprocess
import sys

import pytest

from services.booking.settings import RelaySettings
from services.common import database
from services.common.settings import AuthSettings, InvalidSettings, load
from tests.services.conftest import ROOT

GOOD = {
    "DATABASE_URL": "postgresql://user:very-secret@127.0.0.1/booking",
    "AMQP_URL": "amqps://user:very-secret@127.0.0.1:5671/",
    "AWS_REGION": "eu-west-3",
    "SAGA_STATE_MACHINE_ARN": "arn:aws:states:eu-west-3:123456789012:stateMachine:order-saga",
}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)


def test_good_settings_are_read() -> None:
    settings = load(RelaySettings)
    assert settings.database_url.get_secret_value() == GOOD["DATABASE_URL"]
    assert "very-secret" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("AMQP_URL", None, "AMQP_URL is not set: RelaySettings needs it"),
        ("LOG_LEVEL", "loud", "LOG_LEVEL is 'loud'"),
        ("HTTP_PORT", "70000", "HTTP_PORT is '70000'"),
        ("AWS_REGION", "europe", "AWS_REGION is 'europe'"),
        ("DATABASE_POOLSIZE", "5", "DATABASE_POOLSIZE is set but unknown: did you mean DATABASE_POOL_SIZE?"),
    ],
)
def test_each_fault_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str | None, said: str) -> None:
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSettings) as error:
        load(RelaySettings)
    assert said in str(error.value)
    assert "very-secret" not in str(error.value)


@pytest.mark.parametrize("issuer", ["http://login.example.com", "ftp://127.0.0.1", "login", ""])
def test_an_issuer_that_is_neither_https_nor_local_is_refused(monkeypatch: pytest.MonkeyPatch, issuer: str) -> None:
    monkeypatch.setenv("OIDC_ISSUER", issuer)
    with pytest.raises(InvalidSettings, match="https://"):
        load(AuthSettings)


def test_tls_is_verified_in_full_unless_the_url_says_otherwise() -> None:
    context = database.arguments("postgresql://user@db.example.com/booking")["ssl"]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert database.arguments("postgresql://user@127.0.0.1/booking?sslmode=disable")["ssl"] is False


@pytest.mark.parametrize(
    "url",
    [
        "mysql://user:very-secret@host/db",
        "postgresql:///db",
        "postgresql://user:very-secret@host/db?sslmode=prefer",
        "postgresql://user:very-secret@host/db?sslrootcert=/tmp/ca.pem",
    ],
)
def test_a_database_url_that_cannot_be_honoured_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(database.InvalidDatabaseUrl) as error:
        database.arguments(url)
    assert "very-secret" not in str(error.value)


@pytest.mark.parametrize("entrypoint", ["booking.entrypoints.relay", "payment.entrypoints.api"])
def test_a_process_that_lacks_settings_ends_with_the_message_alone(entrypoint: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", f"services.{entrypoint}"], env={}, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "DATABASE_URL is not set" in ended.stderr
    assert "Traceback" not in ended.stderr
