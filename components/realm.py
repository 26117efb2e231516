"""The realm as a document: who may sign in, by which clients, with which roles. Pure, in Keycloak's import format.

It refuses a web address without TLS, and a client's redirect that could lead elsewhere. Secrets are not in it: where
one belongs stands its name in braces, and the job that applies the document (services/setup/realm.py) puts it in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

NAME = "platform"
# What services/common/auth.py asks of a token.
AUDIENCE = "event-platform"
ROLES: Mapping[str, str] = {
    "attendee": "Buys tickets: whoever signs up",
    "organiser": "Sells tickets for own events",
    "platform": "Runs the platform, and the services among themselves",
}
# What a person who signs up is.
EVERYBODY = "attendee"
# Provider of Keycloak → whether the e-mail address that it tells was verified by it.
SOCIAL: Mapping[str, bool] = {"google": True, "facebook": False}
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class RealmArgs:
    """``web_origins`` are where the web application is served, ``app_links`` where the mobile one is called back.

    ``mail_from`` is the sender of what Keycloak writes to people.
    """

    web_origins: Sequence[str]
    app_links: Sequence[str]
    mail_from: str

    def __post_init__(self) -> None:
        for origin in self.web_origins:
            parts = urlsplit(origin)
            if parts.scheme != "https" or not parts.hostname or "*" in origin or parts.path:
                raise ValueError(
                    f"web_origins has {origin!r}; tokens are sent there: an exact origin with TLS and without a path, "
                    "like https://www.example.com"
                )
        for link in self.app_links:
            if "*" in link or not urlsplit(link).path.strip("/"):
                raise ValueError(
                    f"app_links has {link!r}; a code is sent there: the whole address of the application, "
                    "like https://app.example.com/signed-in, without a wildcard"
                )
        if not self.web_origins or not self.app_links:
            raise ValueError("web_origins or app_links is empty; each client needs a place to come back to")
        if "@" not in self.mail_from:
            raise ValueError(f"mail_from is {self.mail_from!r}; people answer it: write an address")


def secret(name: str) -> str:
    """What stands in the document for the secret of that name."""
    return f"${{{name}}}"


# The secrets that the document names, which the job has to be given.
SECRETS = (
    "services_secret",
    *(f"{provider}_{part}" for provider in SOCIAL for part in ("id", "secret")),
    *(f"mail_{part}" for part in ("host", "user", "password")),
)


def realm(args: RealmArgs) -> dict[str, Any]:
    """The document."""
    return {
        "realm": NAME,
        "enabled": True,
        "displayName": "Tickets",
        **_signing_in(),
        **_guessing(),
        **_lifetimes(),
        "smtpServer": {
            **{"host": secret("mail_host"), "port": "587", "starttls": "true", "auth": "true"},
            **{"user": secret("mail_user"), "password": secret("mail_password"), "from": args.mail_from},
        },
        # Who signed in and what administrators changed, for a month; bodies of changes would hold personal data.
        "eventsEnabled": True,
        "eventsExpiration": 30 * _DAY,
        "adminEventsEnabled": True,
        "adminEventsDetailsEnabled": False,
        "roles": {"realm": [{"name": name, "description": about} for name, about in ROLES.items()]},
        "clients": [_web(args.web_origins), _mobile(args.app_links), _gateway(), _services()],
        "users": [
            # The login behind the client of the services: Keycloak makes it, its roles are given here.
            {
                "username": "service-account-services",
                "enabled": True,
                "serviceAccountClientId": "services",
                "realmRoles": ["platform"],
            }
        ],
        "identityProviders": [_social(provider, trusted) for provider, trusted in SOCIAL.items()],
    }


def _signing_in() -> dict[str, Any]:
    return {
        # Plain HTTP is for the cluster's own addresses, behind the load balancer that ends TLS.
        "sslRequired": "external",
        "registrationAllowed": True,
        "registrationEmailAsUsername": True,
        "loginWithEmailAllowed": True,
        "duplicateEmailsAllowed": False,
        "editUsernameAllowed": False,
        "verifyEmail": True,
        "resetPasswordAllowed": True,
        "rememberMe": False,
        # Length over composition (NIST SP 800-63B, section 5.1.1.2).
        "passwordPolicy": "length(12) and maxLength(128) and notUsername(undefined) and notEmail(undefined)",
        # A one-time code is the same for 30 seconds: it is good once.
        "otpPolicyCodeReusable": False,
    }


def _guessing() -> dict[str, Any]:
    """Wrong passwords cost time, and never lock somebody out for good: that would be a weapon against others."""
    return {
        "bruteForceProtected": True,
        "permanentLockout": False,
        "bruteForceStrategy": "MULTIPLE",
        "failureFactor": 5,
        "waitIncrementSeconds": _MINUTE,
        "maxFailureWaitSeconds": 15 * _MINUTE,
        "maxDeltaTimeSeconds": 12 * _HOUR,
        "quickLoginCheckMilliSeconds": 1000,
        "minimumQuickLoginWaitSeconds": _MINUTE,
    }


def _lifetimes() -> dict[str, Any]:
    return {
        # A role that is taken away is gone after this long: services do not ask Keycloak about each token.
        "accessTokenLifespan": 5 * _MINUTE,
        "ssoSessionIdleTimeout": 30 * _MINUTE,
        "ssoSessionMaxLifespan": 10 * _HOUR,
        "accessCodeLifespan": _MINUTE,
        "accessCodeLifespanLogin": 30 * _MINUTE,
        # A refresh token is good once: a stolen one betrays itself.
        "revokeRefreshToken": True,
        "refreshTokenMaxReuse": 0,
    }


def _client(name: str, about: str, **settings: Any) -> dict[str, Any]:
    """A client that may do nothing but what ``settings`` allow."""
    return {
        "clientId": name,
        "name": about,
        "enabled": True,
        "protocol": "openid-connect",
        "publicClient": False,
        "bearerOnly": False,
        "standardFlowEnabled": False,
        "implicitFlowEnabled": False,
        "directAccessGrantsEnabled": False,
        "serviceAccountsEnabled": False,
        "redirectUris": [],
        "webOrigins": [],
        **settings,
    }


def _public(name: str, about: str, **settings: Any) -> dict[str, Any]:
    """A client on a device of its user, which can keep no secret: the code flow with PKCE (RFC 9700, section 2.1.1)."""
    return _client(
        name,
        about,
        publicClient=True,
        standardFlowEnabled=True,
        attributes={"pkce.code.challenge.method": "S256", "post.logout.redirect.uris": "+"},
        protocolMappers=[_audience()],
        **settings,
    )


def _web(origins: Sequence[str]) -> dict[str, Any]:
    returns = [f"{origin}/signed-in" for origin in origins]
    return _public("web", "Web application", redirectUris=returns, webOrigins=list(origins))


def _mobile(links: Sequence[str]) -> dict[str, Any]:
    return _public("mobile", "Mobile application", redirectUris=list(links))


def _gateway() -> dict[str, Any]:
    return _client("gateway", "Gateway: checks tokens, asks for none", bearerOnly=True)


def _services() -> dict[str, Any]:
    return _client(
        "services",
        "Services among themselves",
        serviceAccountsEnabled=True,
        clientAuthenticatorType="client-secret",
        secret=secret("services_secret"),
        protocolMappers=[_audience()],
    )


def _audience() -> dict[str, Any]:
    return {
        "name": "audience",
        "protocol": "openid-connect",
        "protocolMapper": "oidc-audience-mapper",
        "config": {
            "included.custom.audience": AUDIENCE,
            "access.token.claim": "true",
            "id.token.claim": "false",
            "introspection.token.claim": "true",
        },
    }


def _social(provider: str, trusted: bool) -> dict[str, Any]:
    return {
        "alias": provider,
        "providerId": provider,
        "enabled": True,
        # An address that nobody verified must not open the account that somebody else has under it.
        "trustEmail": trusted,
        "storeToken": False,
        "config": {
            "clientId": secret(f"{provider}_id"),
            "clientSecret": secret(f"{provider}_secret"),
            "syncMode": "IMPORT",
        },
    }
