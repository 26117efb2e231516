"""The local Novu delivers once per transactionId, and fails on request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from scripts.local.novu.app import create_app

TRIGGER = {"name": "order-completed", "to": {"subscriberId": "buyer-1"}, "transactionId": "order-completed:1"}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with TestClient(create_app(tmp_path / "novu.json"), headers={"Authorization": "ApiKey local"}) as made:
        yield made


def test_the_same_transaction_is_delivered_once(client: TestClient, tmp_path: Path) -> None:
    for _ in range(3):
        assert client.post("/v1/events/trigger", json=TRIGGER).status_code == 201
    assert [entry["transactionId"] for entry in client.get("/_local/delivered").json()["delivered"]] == [
        "order-completed:1"
    ]
    with TestClient(create_app(tmp_path / "novu.json")) as restarted:
        assert restarted.get("/healthz").json()["delivered"] == 1


def test_it_fails_as_often_as_asked(client: TestClient) -> None:
    client.post("/_local/failures", json={"count": 2, "status": 500})
    statuses = [client.post("/v1/events/trigger", json=TRIGGER).status_code for _ in range(3)]
    assert statuses == [500, 500, 201]


def test_an_answer_can_be_lost_after_the_trigger_was_taken(client: TestClient) -> None:
    client.post("/_local/failures", json={"count": 1, "status": 504, "when": "after"})
    assert [client.post("/v1/events/trigger", json=TRIGGER).status_code for _ in range(2)] == [504, 201]
    assert len(client.get("/_local/delivered").json()["delivered"]) == 1


def test_a_fault_that_it_does_not_know_is_refused(client: TestClient) -> None:
    for wrong in ({"count": "two"}, {"mode": "drop"}):
        assert client.post("/_local/failures", json=wrong).status_code == 400


def test_a_trigger_makes_its_subscriber_and_the_next_one_changes_it(client: TestClient) -> None:
    for number, locale in enumerate(("fr", "en")):
        to = {"subscriberId": "buyer-1", "locale": locale}
        client.post("/v1/events/trigger", json={**TRIGGER, "to": to, "transactionId": f"t{number}"})
    assert client.get("/v2/subscribers/buyer-1").json()["data"] == {"subscriberId": "buyer-1", "locale": "en"}
    assert client.get("/v2/subscribers/nobody").status_code == 404


def test_a_workflow_keeps_its_steps_and_its_first_day_across_updates_and_restarts(
    client: TestClient, tmp_path: Path
) -> None:
    step = {"name": "email", "type": "email", "controlValues": {"subject": "Hello"}}
    made = client.post("/v2/workflows", json={"name": "Tickets", "workflowId": "order-completed", "steps": [step]})
    assert made.status_code == 201
    before = made.json()["data"]
    changed = {"name": "Your tickets", "steps": [{**step, "_id": before["steps"][0]["_id"]}]}
    after = client.put("/v2/workflows/order-completed", json=changed).json()["data"]
    assert (after["_id"], after["createdAt"], after["name"]) == (before["_id"], before["createdAt"], "Your tickets")
    stranger = {"name": "x", "steps": [{**step, "_id": "of-another"}]}
    assert client.put("/v2/workflows/order-completed", json=stranger).status_code == 400
    assert client.put("/v2/workflows/unknown", json=changed).status_code == 404
    assert client.post("/v2/workflows", json={"workflowId": "empty", "name": "Empty", "steps": []}).status_code == 400
    with TestClient(create_app(tmp_path / "novu.json"), headers={"Authorization": "ApiKey local"}) as restarted:
        assert restarted.get("/v2/workflows?query=order").json()["data"]["totalCount"] == 1


def test_a_caller_without_a_key_is_refused(client: TestClient) -> None:
    assert client.post("/v1/events/trigger", json=TRIGGER, headers={"Authorization": ""}).status_code == 401
