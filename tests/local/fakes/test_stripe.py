"""The local Stripe keeps the promises that our code relies upon: keys, transitions, signatures, restarts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import stripe
from starlette.testclient import TestClient

from scripts.local.stripe.app import create_app, parameters
from scripts.local.stripe.webhooks import signature

AUTH = {"Authorization": "Bearer sk_test_local"}
CARD = {"amount": "2500", "currency": "eur", "payment_method": "pm_card_visa", "capture_method": "manual"}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "stripe.json"


@pytest.fixture
def client(state: Path) -> Iterator[TestClient]:
    with TestClient(create_app(state), headers=AUTH) as made:
        yield made


def test_the_same_key_gets_the_first_answer(client: TestClient) -> None:
    headers = {"Idempotency-Key": "charge:1:1"}
    first, second = [client.post("/v1/payment_intents", data=CARD, headers=headers).json() for _ in range(2)]
    assert first == second
    assert len(client.get("/v1/payment_intents").json()["data"]) == 1


def test_the_same_key_with_another_body_is_refused(client: TestClient) -> None:
    headers = {"Idempotency-Key": "charge:1:1"}
    client.post("/v1/payment_intents", data=CARD, headers=headers)
    answer = client.post("/v1/payment_intents", data={**CARD, "amount": "1"}, headers=headers)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "idempotency_error")


def test_keys_and_intents_survive_a_restart(client: TestClient, state: Path) -> None:
    headers = {"Idempotency-Key": "charge:1:1"}
    first = client.post("/v1/payment_intents", data=CARD, headers=headers).json()
    with TestClient(create_app(state), headers=AUTH) as restarted:
        assert restarted.post("/v1/payment_intents", data=CARD, headers=headers).json() == first


def test_a_decline_is_remembered_under_its_key(client: TestClient) -> None:
    data = {**CARD, "payment_method": "pm_card_visa_chargeDeclined"}
    intent = client.post("/v1/payment_intents", data=data).json()["id"]
    path, headers = f"/v1/payment_intents/{intent}/confirm", {"Idempotency-Key": "confirm"}
    answers = [client.post(path, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [402, 402]
    assert answers[0].json() == answers[1].json()


@pytest.mark.parametrize("verb", ["capture", "confirm", "cancel"])
def test_a_finished_intent_refuses_to_move(client: TestClient, verb: str) -> None:
    intent = client.post("/v1/payment_intents", data={**CARD, "confirm": "true"}).json()["id"]
    client.post(f"/v1/payment_intents/{intent}/capture")
    error = client.post(f"/v1/payment_intents/{intent}/{verb}").json()["error"]
    assert error["code"] == "payment_intent_unexpected_state"


def test_no_more_is_refunded_than_was_taken(client: TestClient) -> None:
    intent = client.post("/v1/payment_intents", data={**CARD, "confirm": "true"}).json()["id"]
    assert client.post("/v1/refunds", data={"payment_intent": intent}).status_code == 400
    client.post(f"/v1/payment_intents/{intent}/capture")
    amounts = [{"payment_intent": intent, "amount": amount} for amount in ("2000", "501", "500")]
    assert [client.post("/v1/refunds", data=data).status_code for data in amounts] == [200, 400, 200]


def test_an_unknown_fault_is_refused(client: TestClient) -> None:
    assert client.post("/_local/faults", json={"mode": "meteor"}).status_code == 400


def test_nothing_is_answered_without_a_key(client: TestClient) -> None:
    assert client.post("/v1/payment_intents", data=CARD, headers={"Authorization": ""}).status_code == 401


def test_signatures_are_those_that_the_sdk_verifies() -> None:
    payload = b'{"id": "evt_1", "object": "event"}'
    header = signature(payload, "whsec_local", int(time.time()))
    assert stripe.Webhook.construct_event(payload, header, "whsec_local").id == "evt_1"


def test_forms_are_read_as_stripe_writes_them() -> None:
    assert parameters("a=1&metadata[order_id]=o&types[0]=card&types[1]=link&empty=") == {
        "a": "1",
        "metadata": {"order_id": "o"},
        "types": ["card", "link"],
        "empty": "",
    }
