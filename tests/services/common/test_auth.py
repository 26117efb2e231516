"""A token's signature is looked at once; its times at each request, and its keys whenever the issuer changes them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey

from services.common import auth
from services.common.auth import Authenticator
from services.common.problems import Problem
from services.common.settings import AuthSettings

ISSUER = "https://issuer.example.com"


class Issuer:
    """Signs tokens, and publishes the key that it signs with now."""

    def __init__(self) -> None:
        self.rotate("first")

    def rotate(self, name: str) -> None:
        self.key = OKPKey.generate_key("Ed25519", {"kid": name})

    def token(self, lives: float = 300) -> str:
        claims = {"iss": ISSUER, "aud": "event-platform", "sub": "buyer", "exp": int(time.time() + lives)}
        return jwt.encode({"alg": "Ed25519", "kid": self.key.kid}, claims, self.key, algorithms=["Ed25519"])

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("openid-configuration"):
            return httpx.Response(200, json={"jwks_uri": f"{ISSUER}/keys"})
        return httpx.Response(200, json={"keys": [self.key.as_dict(private=False)]})


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def authenticator(issuer: Issuer) -> Authenticator:
    client = httpx.AsyncClient(transport=httpx.MockTransport(issuer.answer))
    return Authenticator(AuthSettings(oidc_issuer=ISSUER), client)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens whose signatures were looked at."""
    seen: list[str] = []
    real: Callable[..., Any] = jwt.decode

    def watching(token: str, *rest: Any) -> Any:
        seen.append(token)
        return real(token, *rest)

    monkeypatch.setattr(jwt, "decode", watching)
    return seen


async def test_a_signature_that_was_good_is_not_looked_at_again(
    issuer: Issuer, authenticator: Authenticator, decoded: list[str]
) -> None:
    token = issuer.token()
    for _ in range(5):
        assert (await authenticator.verify(token)).id == "buyer"
    # Once in vain, before the issuer's keys were known, and once with them.
    assert decoded == [token, token]


async def test_a_token_that_was_good_is_refused_once_its_time_is_over(
    issuer: Issuer, authenticator: Authenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = issuer.token(lives=60)
    await authenticator.verify(token)
    later = time.time() + 60 + auth.LEEWAY_SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: later)
    with pytest.raises(Problem) as refused:
        await authenticator.verify(token)
    assert refused.value.status == 401


async def test_a_token_of_a_key_that_the_issuer_took_back_is_forgotten_with_the_key(
    issuer: Issuer, authenticator: Authenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "REFRESH_SECONDS", 0)
    old = issuer.token()
    await authenticator.verify(old)
    issuer.rotate("second")
    await authenticator.verify(issuer.token())
    with pytest.raises(Problem) as refused:
        await authenticator.verify(old)
    assert refused.value.status == 401


async def test_what_is_refused_is_not_remembered(
    issuer: Issuer, authenticator: Authenticator, decoded: list[str]
) -> None:
    await authenticator.verify(issuer.token())
    forged = issuer.token()[:-4] + "AAAA"
    for _ in range(2):
        with pytest.raises(Problem):
            await authenticator.verify(forged)
    assert decoded[-2:] == [forged, forged]
