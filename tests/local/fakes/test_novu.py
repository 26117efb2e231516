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


def test_a_caller_without_a_key_is_refused(client: TestClient) -> None:
    assert client.post("/v1/events/trigger", json=TRIGGER, headers={"Authorization": ""}).status_code == 401
