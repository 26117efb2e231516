"""The local issuer signs what it was asked for, with a key that survives a restart and that nobody else reads."""

from __future__ import annotations

from pathlib import Path

from joserfc import jwt
from joserfc.jwk import KeySet
from starlette.testclient import TestClient

from scripts.local.issuer import Issuer, create_app, load_key

URL = "http://127.0.0.1:8422"


def test_a_token_is_verified_by_the_published_keys(tmp_path: Path) -> None:
    client = TestClient(create_app(Issuer(URL, load_key(tmp_path / "key.json"))))
    token = client.post("/token", json={"sub": "buyer-1", "roles": ["attendee"]}).json()["access_token"]
    restarted = TestClient(create_app(Issuer(URL, load_key(tmp_path / "key.json"))))
    published = KeySet.import_key_set(restarted.get("/jwks").json())
    claims = jwt.decode(token, published, ["ES256"]).claims
    assert (claims["iss"], claims["sub"], claims["roles"]) == (URL, "buyer-1", ["attendee"])


def test_the_key_is_its_owners_alone(tmp_path: Path) -> None:
    load_key(tmp_path / "key.json")
    assert (tmp_path / "key.json").stat().st_mode & 0o777 == 0o600


def test_the_private_half_is_not_published(tmp_path: Path) -> None:
    client = TestClient(create_app(Issuer(URL, load_key(None))))
    assert "d" not in client.get("/jwks").json()["keys"][0]


def test_a_role_that_does_not_exist_is_refused() -> None:
    client = TestClient(create_app(Issuer(URL, load_key(None))))
    answer = client.post("/token", json={"sub": "buyer-1", "roles": ["king"]})
    assert (answer.status_code, "attendee" in answer.json()["error_description"]) == (400, True)
