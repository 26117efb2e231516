"""A local OIDC issuer: discovery, keys, and tokens for whoever asks. `python -m scripts.local.issuer`.

It stands where Keycloak stands in production, on loopback alone: services verify its tokens exactly as they verify
Keycloak's.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from scripts.local import serving

ROLES = frozenset({"attendee", "organiser", "platform"})
LIFETIME_SECONDS = 3600


class Issuer:
    """A key, and the tokens that it signs in the name of ``url``."""

    def __init__(self, url: str, key: ECKey, audience: str = "event-platform") -> None:
        self.url, self.key, self.audience = url.rstrip("/"), key, audience

    def token(self, subject: str, *roles: str, lifetime: int = LIFETIME_SECONDS, **claims: Any) -> str:
        """A bearer token for ``subject`` that lasts ``lifetime`` seconds; ``claims`` replace the usual ones."""
        now = int(time.time())
        body = {"iss": self.url, "aud": self.audience, "sub": subject, "iat": now, "exp": now + lifetime}
        header = {"alg": "ES256", "kid": self.key.kid}
        return jwt.encode(header, {**body, "roles": sorted(roles), **claims}, self.key)


def load_key(path: Path | None) -> ECKey:
    """The key in ``path``, made and written there (owner only) when there is none; a passing one without a path."""
    if path is not None and path.exists():
        return ECKey.import_key(json.loads(path.read_text()))
    key = ECKey.generate_key("P-256", auto_kid=True)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(key.as_dict(private=True), file)
    return key


def create_app(issuer: Issuer) -> Starlette:
    """The application."""

    async def discovery(_: Request) -> Response:
        return JSONResponse(
            {
                "issuer": issuer.url,
                "jwks_uri": f"{issuer.url}/jwks",
                "token_endpoint": f"{issuer.url}/token",
                "id_token_signing_alg_values_supported": ["ES256"],
            }
        )

    async def jwks(_: Request) -> Response:
        return JSONResponse({"keys": [{**issuer.key.as_dict(private=False), "alg": "ES256", "use": "sig"}]})

    async def token(request: Request) -> Response:
        asked = json.loads(await request.body() or b"{}")
        subject, roles = asked.get("sub"), asked.get("roles", [])
        if not isinstance(subject, str) or not subject or not isinstance(roles, list) or not ROLES.issuperset(roles):
            message = f'Send {{"sub": "…", "roles": […]}}; roles are {sorted(ROLES)}.'
            return JSONResponse({"error": "invalid_request", "error_description": message}, 400)
        return JSONResponse(
            {
                "access_token": issuer.token(subject, *roles),
                "token_type": "Bearer",
                "expires_in": LIFETIME_SECONDS,
            }
        )

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/.well-known/openid-configuration", discovery),
            Route("/jwks", jwks),
            Route("/token", token, methods=["POST"]),
        ]
    )


def main() -> None:
    """Serve until SIGTERM."""
    parser = serving.parser("scripts.local.issuer", "A local OIDC issuer; POST /token gives anybody any role.", 8422)
    parser.add_argument(
        "--key", type=Path, help="file of the signing key (JWK), made when missing; else a new one each time"
    )
    arguments = parser.parse_args()
    url = f"http://{arguments.host}:{arguments.port}"
    serving.serve(create_app(Issuer(url, load_key(arguments.key))), arguments)


if __name__ == "__main__":
    main()
