"""The realm as a document: each client may do one thing, guessing costs time, and no secret is in it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from components.realm import AUDIENCE, EVERYBODY, ROLES, SECRETS, SOCIAL, RealmArgs, realm
from services.common import auth
from services.common.settings import AuthSettings

ARGS = RealmArgs(
    web_origins=["https://www.example.com"],
    app_links=["https://app.example.com/signed-in"],
    mail_from="tickets@example.com",
)
CLIENTS: dict[str, dict[str, Any]] = {client["clientId"]: client for client in realm(ARGS)["clients"]}
FLOWS = ("standardFlowEnabled", "implicitFlowEnabled", "directAccessGrantsEnabled", "serviceAccountsEnabled")


@pytest.mark.parametrize(
    ("client", "flows"),
    [
        ("web", {"standardFlowEnabled"}),
        ("mobile", {"standardFlowEnabled"}),
        ("gateway", set()),
        ("services", {"serviceAccountsEnabled"}),
    ],
)
def test_each_client_has_the_flow_that_it_needs_and_no_other(client: str, flows: set[str]) -> None:
    assert {flow for flow in FLOWS if CLIENTS[client][flow]} == flows


@pytest.mark.parametrize("client", ["web", "mobile"])
def test_a_client_without_a_secret_needs_a_challenge(client: str) -> None:
    assert CLIENTS[client]["publicClient"]
    assert CLIENTS[client]["attributes"]["pkce.code.challenge.method"] == "S256"


def test_the_gateway_asks_for_no_token() -> None:
    assert CLIENTS["gateway"]["bearerOnly"]


def test_tokens_are_for_whom_the_services_say_they_are() -> None:
    assert AuthSettings.model_fields["oidc_audience"].default == AUDIENCE
    issuing = [client for client in CLIENTS.values() if not client["bearerOnly"]]
    for client in issuing:
        [mapper] = client["protocolMappers"]
        assert mapper["config"]["included.custom.audience"] == AUDIENCE


def test_the_roles_are_those_that_the_services_ask_for() -> None:
    assert set(ROLES) == {auth.ORGANISER, auth.PLATFORM, "attendee"}
    assert EVERYBODY in ROLES


def test_guessing_costs_time_and_locks_nobody_out_for_good() -> None:
    document = realm(ARGS)
    assert document["bruteForceProtected"]
    assert not document["permanentLockout"]
    assert document["failureFactor"] <= 10


def test_an_account_is_not_opened_by_an_address_that_nobody_verified() -> None:
    document = realm(ARGS)
    assert document["verifyEmail"]
    assert {each["alias"]: each["trustEmail"] for each in document["identityProviders"]} == SOCIAL


def test_no_secret_is_in_it_and_every_name_of_one_is_listed() -> None:
    named = re.findall(r"\$\{(\w+)\}", json.dumps(realm(ARGS)))
    assert sorted(named) == sorted(SECRETS)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"web_origins": ["http://www.example.com"]}, "web_origins has 'http://www.example.com'.*with TLS"),
        ({"web_origins": ["https://*.example.com"]}, "an exact origin"),
        ({"web_origins": ["https://www.example.com/"]}, "without a path"),
        ({"app_links": ["https://app.example.com/*"]}, "without a wildcard"),
        ({"app_links": ["tickets:"]}, "the whole address"),
        ({"app_links": []}, "each client needs a place to come back to"),
        ({"mail_from": "nobody"}, "mail_from is 'nobody'"),
    ],
)
def test_a_place_to_which_a_token_could_leak_is_refused(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        replace(ARGS, **changed)
