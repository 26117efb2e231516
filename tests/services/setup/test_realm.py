"""The realm on a real Keycloak: accepted, applied twice, changed in place, and its tokens are what services ask for."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from components import realm as document
from components.realm import RealmArgs
from scripts.local.servers import keycloak
from scripts.local.servers.keycloak import Keycloak
from services.common.auth import Authenticator
from services.common.settings import AuthSettings
from services.setup import realm
from services.setup.documents import Refused
from services.setup.realm import RealmSettings

# Two processors that others use too: it starts in 20 to 60 seconds, and the first time it is fetched.
pytestmark = pytest.mark.timeout(300)
ARGS = RealmArgs(
    web_origins=["https://www.example.com"],
    app_links=["https://app.example.com/signed-in"],
    mail_from="tickets@example.com",
)
SECRETS = {name: f'a "quoted" {name}' for name in document.SECRETS}
FIRST = "first-secret-of-the-administrator"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keycloak]:
    with keycloak.running(tmp_path_factory.mktemp("keycloak"), FIRST) as made:
        realm.apply(settings(made))
        yield made


def settings(
    server: Keycloak,
    wanted: dict[str, Any] | None = None,
    *,
    key: str = FIRST,
    previous: str = "",
    secrets: dict[str, str] = SECRETS,
) -> RealmSettings:
    return RealmSettings(
        keycloak_url=server.url,
        keycloak_administrator_key=SecretStr(key),
        keycloak_administrator_previous=SecretStr(previous),
        realm=json.dumps(wanted or document.realm(ARGS)),
        realm_default_role=document.EVERYBODY,
        realm_secrets=SecretStr(json.dumps(secrets)),
    )


def token(server: Keycloak, secret: str = SECRETS["services_secret"]) -> httpx.Response:
    """What the services' client is answered."""
    return httpx.post(
        f"{server.url}/realms/{document.NAME}/protocol/openid-connect/token",
        data={"grant_type": "client_credentials", "client_id": "services", "client_secret": secret},
    )


@pytest.fixture
def admin(server: Keycloak) -> Iterator[httpx.Client]:
    """The administrator's API of the realm."""
    with httpx.Client(base_url=server.url) as client:
        headers = realm.sign_in(client, settings(server))
    with httpx.Client(base_url=f"{server.url}/admin/realms/{document.NAME}/", headers=headers) as client:
        yield client


async def test_a_token_of_the_services_is_what_an_api_asks_for(server: Keycloak) -> None:
    issuer = f"{server.url}/realms/{document.NAME}"
    async with httpx.AsyncClient() as client:
        principal = await Authenticator(AuthSettings(oidc_issuer=issuer), client).verify(
            token(server).json()["access_token"]
        )
    assert principal.roles == {"platform"}


def test_applying_it_again_keeps_people_their_roles_and_their_ids(server: Keycloak, admin: httpx.Client) -> None:
    admin.post("users", json={"username": "ada@example.com", "email": "ada@example.com", "enabled": True})
    [person] = admin.get("users", params={"username": "ada@example.com"}).json()
    organiser = admin.get("roles/organiser").json()
    admin.post(f"users/{person['id']}/role-mappings/realm", json=[organiser]).raise_for_status()
    realm.apply(settings(server))
    held = admin.get(f"users/{person['id']}/role-mappings/realm/composite").json()
    # Whoever signs up is an attendee.
    assert {role["name"] for role in held} >= {"attendee", "organiser"}
    assert admin.get("roles/organiser").json()["id"] == organiser["id"]


def test_what_somebody_changed_by_hand_is_as_described_again(server: Keycloak, admin: httpx.Client) -> None:
    [web] = admin.get("clients", params={"clientId": "web"}).json()
    loose = {"directAccessGrantsEnabled": True, "redirectUris": ["*"], "attributes": {"pkce.code.challenge.method": ""}}
    admin.put(f"clients/{web['id']}", json={**web, **loose}).raise_for_status()
    admin.put("", json={"bruteForceProtected": False}).raise_for_status()
    realm.apply(settings(server))
    [web] = admin.get("clients", params={"clientId": "web"}).json()
    assert (web["directAccessGrantsEnabled"], web["redirectUris"]) == (False, ["https://www.example.com/signed-in"])
    assert web["attributes"]["pkce.code.challenge.method"] == "S256"
    assert admin.get("").json()["bruteForceProtected"] is True


def test_a_changed_audience_reaches_the_tokens(server: Keycloak) -> None:
    wanted = document.realm(ARGS)
    [services] = [client for client in wanted["clients"] if client["clientId"] == "services"]
    services["protocolMappers"][0]["config"]["included.custom.audience"] = "another"
    try:
        realm.apply(settings(server, wanted))
        assert _claims(token(server))["aud"] == "another"
    finally:
        realm.apply(settings(server))
    assert _claims(token(server))["aud"] == document.AUDIENCE


def test_a_new_secret_of_the_services_is_taken_and_the_old_one_is_not(server: Keycloak) -> None:
    try:
        realm.apply(settings(server, secrets={**SECRETS, "services_secret": "the-next"}))
        assert token(server, "the-next").is_success
        assert token(server).status_code == 401
    finally:
        realm.apply(settings(server))


def test_the_administrators_secret_turns_over_and_an_unknown_one_is_refused(server: Keycloak) -> None:
    realm.apply(settings(server, key="second", previous=FIRST))
    try:
        with pytest.raises(Refused, match="neither the current nor the previous secret"):
            realm.apply(settings(server))
    finally:
        realm.apply(settings(server, key=FIRST, previous="second"))


@pytest.mark.parametrize("challenge", [{}, {"code_challenge": "x" * 43, "code_challenge_method": "plain"}])
def test_the_web_application_cannot_sign_anybody_in_without_pkce(server: Keycloak, challenge: dict[str, str]) -> None:
    asked = {"client_id": "web", "response_type": "code", "redirect_uri": "https://www.example.com/signed-in"}
    path = f"{server.url}/realms/{document.NAME}/protocol/openid-connect/auth"
    answer = httpx.get(path, params={**asked, "scope": "openid", **challenge})
    assert "error=invalid_request" in answer.headers["location"]


def test_a_secret_that_nobody_set_is_named_before_anything_changes(server: Keycloak) -> None:
    with pytest.raises(Refused, match="secrets that are not given: google_id; set them by hand"):
        realm.apply(settings(server, secrets={**SECRETS, "google_id": ""}))


def test_what_keycloak_refuses_is_named(server: Keycloak) -> None:
    wanted = document.realm(ARGS)
    wanted["identityProviders"][0]["providerId"] = "carrier-pigeon"
    with pytest.raises(Refused, match="identity-provider/instances"):
        realm.apply(
            settings(server, {**wanted, "identityProviders": [{**wanted["identityProviders"][0], "alias": "x"}]})
        )


def _claims(answer: httpx.Response) -> dict[str, Any]:
    payload = answer.json()["access_token"].split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=="))
    return found
