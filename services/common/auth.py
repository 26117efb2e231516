"""Who is calling: a bearer JWT of the configured OIDC issuer, whose keys are found by discovery.

Fails closed: no token, a token of somebody else, or an issuer that cannot be reached all refuse the request. Keys are
cached and fetched again when a token names one that is not known (rotation), at most once every ``REFRESH_SECONDS``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any

import httpx
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from services.common.problems import Problem
from services.common.settings import AuthSettings

# Asymmetric alone: a symmetric algorithm would let the holder of a public key sign (RFC 8725, section 3.1).
ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"]
REFRESH_SECONDS = 10.0
LEEWAY_SECONDS = 30
# A buyer comes back with the same token within seconds; a signature costs a tenth of the hot path. About 25 MB.
REMEMBERED = 10_000
ORGANISER, PLATFORM = "organiser", "platform"


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller: the subject of the token and its roles."""

    id: str
    roles: frozenset[str]

    def require(self, *roles: str) -> None:
        """Raises Problem 403 unless the caller has one of ``roles``."""
        if not self.roles & set(roles):
            raise Problem(403, "forbidden", f"This needs one of the roles: {', '.join(roles)}.")


class Authenticator:
    """Verifies tokens against the issuer's current keys."""

    def __init__(self, settings: AuthSettings, client: httpx.AsyncClient) -> None:
        self._issuer, self._client = settings.oidc_issuer, client
        self._claims = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": settings.oidc_issuer},
            aud={"essential": True, "value": settings.oidc_audience},
            sub={"essential": True},
            exp={"essential": True},
        )
        self._keys = KeySet([])
        # What a signature says depends on the token and the keys alone; times are looked at for each request.
        self._signed = lru_cache(REMEMBERED)(self._verified)
        self._fetched = float("-inf")

    async def verify(self, token: str) -> Principal:
        """The principal of ``token``. Raises Problem 401, or 503 when the issuer's keys cannot be had."""
        try:
            claims = await self._decode(token)
            self._claims.validate(claims)
        except (JoseError, ValueError) as error:
            raise Problem(
                401, "unauthorised", "The bearer token is not valid here.", headers={"WWW-Authenticate": "Bearer"}
            ) from error
        realm = claims.get("realm_access")
        nested = realm.get("roles", []) if isinstance(realm, dict) else []
        roles = claims.get("roles", nested) or []
        return Principal(str(claims["sub"]), frozenset(r for r in roles if isinstance(r, str)))

    async def _decode(self, token: str) -> dict[str, Any]:
        try:
            return self._signed(token)
        except (JoseError, ValueError):
            if time.monotonic() - self._fetched < REFRESH_SECONDS:
                raise
        await self._refresh()
        return self._signed(token)

    def _verified(self, token: str) -> dict[str, Any]:
        return jwt.decode(token, self._keys, ALGORITHMS).claims

    async def _refresh(self) -> None:
        try:
            found = await self._get(f"{self._issuer}/.well-known/openid-configuration")
            self._keys = KeySet.import_key_set(await self._get(found["jwks_uri"]))
            self._signed.cache_clear()
            self._fetched = time.monotonic()
        except (httpx.HTTPError, KeyError, ValueError) as error:
            raise Problem(
                503, "issuer-unavailable", "Tokens cannot be verified now; try again.", headers={"Retry-After": "2"}
            ) from error

    async def _get(self, url: str) -> Any:
        response = await self._client.get(url)
        response.raise_for_status()
        return response.json()


_bearer = HTTPBearer(
    auto_error=False, scheme_name="bearer", bearerFormat="JWT", description="A token of the platform's OIDC issuer."
)


async def principal(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Principal:
    """The caller of this request; the app keeps its Authenticator in `app.state.authenticator`."""
    if credentials is None:
        raise Problem(
            401,
            "unauthorised",
            "Send a bearer token: `Authorization: Bearer …`.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    authenticator: Authenticator = request.app.state.authenticator
    return await authenticator.verify(credentials.credentials)


Caller = Annotated[Principal, Depends(principal)]
