"""`python -m services.setup.realm`: bring Keycloak's realm to what REALM describes; safe to repeat.

A realm that is not there is made whole, by Keycloak's own import. One that is there is changed item by item, each found
by its name: users, their roles and their sessions stay, and what is not described is left alone. The program's own
login turns over: with a new secret that Keycloak does not know yet, it signs in with the one before and changes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import httpx
from pydantic import Field, SecretStr, field_validator

from services.setup import documents
from services.setup.documents import Refused, SetupSettings, call

Item: TypeAlias = dict[str, Any]
ADMINISTRATOR = "setup"
# What a realm's own settings do not hold: each has an address of its own.
_APART = ("roles", "clients", "users", "identityProviders")


class RealmSettings(SetupSettings):
    """Where Keycloak is, its administrator's secrets, the document, and the secrets that it names."""

    keycloak_url: str = Field(pattern="^https?://")
    keycloak_administrator_key: SecretStr
    keycloak_administrator_previous: SecretStr = SecretStr("")
    realm: str
    realm_default_role: str = Field(min_length=1)
    realm_secrets: SecretStr
    """JSON: name in the document → value."""

    _document = field_validator("realm")(documents.is_object)


def apply(settings: RealmSettings) -> dict[str, int]:
    """Create or change everything; returns how many items of each kind. Raises Refused, httpx.TransportError."""
    document: Item = _filled(json.loads(settings.realm), json.loads(settings.realm_secrets.get_secret_value()))
    name = document["realm"]
    with httpx.Client(base_url=settings.keycloak_url, timeout=documents.SECONDS) as client:
        client.headers = headers = sign_in(client, settings)
        if call(client, "GET", f"admin/realms/{name}", missing=True) is None:
            call(client, "POST", "admin/realms", document)
    base = f"{settings.keycloak_url}/admin/realms/{name}/"
    with httpx.Client(base_url=base, headers=headers, timeout=documents.SECONDS) as client:
        call(client, "PUT", "", {key: value for key, value in document.items() if key not in _APART})
        for role in document["roles"]["realm"]:
            _put(client, "roles", role["name"], role)
        everybody = call(client, "GET", f"roles/{settings.realm_default_role}")
        call(client, "POST", f"roles/default-roles-{name}/composites", [everybody])
        for wanted in document["clients"]:
            _client(client, wanted)
        for user in document["users"]:
            _roles_of_service(client, user)
        for provider in document["identityProviders"]:
            _put(client, "identity-provider/instances", provider["alias"], provider)
    return {kind: len(document[kind]["realm"] if kind == "roles" else document[kind]) for kind in _APART}


def sign_in(client: httpx.Client, settings: RealmSettings) -> httpx.Headers:
    """The administrator's headers. Makes the current secret current, if Keycloak knows the previous one alone.

    Raises Refused when it knows neither.
    """
    current = settings.keycloak_administrator_key.get_secret_value()
    if token := _token(client, current):
        return httpx.Headers({"Authorization": f"Bearer {token}"})
    previous = settings.keycloak_administrator_previous.get_secret_value()
    if not previous or not (token := _token(client, previous)):
        raise Refused(
            f"Keycloak takes neither the current nor the previous secret of the client {ADMINISTRATOR!r}: set the one "
            "that it has in the secret identity-administrator, see runbooks/identity_unavailable.md"
        )
    headers = httpx.Headers({"Authorization": f"Bearer {token}"})
    clients = "admin/realms/master/clients"
    [found] = call(client, "GET", clients, params={"clientId": ADMINISTRATOR}, headers=headers)
    call(client, "PUT", f"{clients}/{found['id']}", {**found, "secret": current}, headers=headers)
    return headers


def _token(client: httpx.Client, secret: str) -> str | None:
    answer = client.post(
        "realms/master/protocol/openid-connect/token",
        data={"grant_type": "client_credentials", "client_id": ADMINISTRATOR, "client_secret": secret},
    )
    if answer.status_code in (400, 401):
        return None
    if answer.is_error:
        raise Refused(f"Keycloak answers a sign-in with {answer.status_code} {answer.text[:300]}; look at its log")
    token: str = answer.json()["access_token"]
    return token


def _put(client: httpx.Client, path: str, name: str, wanted: Item) -> None:
    found = call(client, "GET", f"{path}/{name}", missing=True)
    if found is None:
        call(client, "POST", path, wanted)
    else:
        call(client, "PUT", f"{path}/{name}", _merged(found, wanted))


def _client(client: httpx.Client, wanted: Item) -> None:
    found = call(client, "GET", "clients", params={"clientId": wanted["clientId"]})
    if not found:
        call(client, "POST", "clients", wanted)
        return
    [existing] = found
    path = f"clients/{existing['id']}"
    call(client, "PUT", path, _merged(existing, {**wanted, "protocolMappers": existing.get("protocolMappers", [])}))
    known = {mapper["name"]: mapper for mapper in existing.get("protocolMappers") or []}
    for mapper in wanted.get("protocolMappers", []):
        if before := known.get(mapper["name"]):
            call(client, "PUT", f"{path}/protocol-mappers/models/{before['id']}", {**before, **mapper})
        else:
            call(client, "POST", f"{path}/protocol-mappers/models", mapper)


def _roles_of_service(client: httpx.Client, user: Item) -> None:
    """The login behind a client has exactly the roles that are described, the default ones too only if they are."""
    [owner] = call(client, "GET", "clients", params={"clientId": user["serviceAccountClientId"]})
    account = call(client, "GET", f"clients/{owner['id']}/service-account-user")
    path = f"users/{account['id']}/role-mappings/realm"
    held = {role["name"]: role for role in call(client, "GET", path)}
    if extra := [role for name, role in held.items() if name not in user["realmRoles"]]:
        call(client, "DELETE", path, extra)
    if lacking := [name for name in user["realmRoles"] if name not in held]:
        call(client, "POST", path, [call(client, "GET", f"roles/{name}") for name in lacking])


def _merged(found: Item, wanted: Item) -> Item:
    """What is described goes over what is there, one level deep: Keycloak's own attributes of an item stay."""
    deep = {
        key: {**found[key], **value}
        for key, value in wanted.items()
        if isinstance(value, dict) and isinstance(found.get(key), dict)
    }
    return {**found, **wanted, **deep}


def _filled(document: Item, secrets: Mapping[str, str]) -> Item:
    """The document with its secrets. Raises Refused, naming those that are missing."""
    text = json.dumps(document)
    missing = sorted(name for name in set(_names(document)) if not secrets.get(name))
    if missing:
        raise Refused(f"the document names secrets that are not given: {', '.join(missing)}; set them by hand")
    for name, value in secrets.items():
        text = text.replace(json.dumps(f"${{{name}}}"), json.dumps(value))
    filled: Item = json.loads(text)
    return filled


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _names(inner)
    elif isinstance(value, str) and value.startswith("${") and value.endswith("}"):
        yield value[2:-1]


def main() -> None:
    """Apply the document, or end with a message and status 1."""
    documents.run("realm", RealmSettings, apply)


if __name__ == "__main__":
    main()
