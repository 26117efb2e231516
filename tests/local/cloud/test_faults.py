"""Faults on demand: what the platform does when AWS throttles, is slow, or fails half way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import requests

from scripts.local.cloud.running import Addresses
from tests.support.engine import Workspace

QUEUE = 'aws.sqs.Queue("tasks", name="faulty-tasks")'


def test_throttled_calls_are_tried_again(workspace: Workspace, inject: Callable[..., None], cloud: Addresses) -> None:
    inject(kind="throttle", call="sqs.create_queue", times=3)
    workspace.program(QUEUE)
    assert workspace.up().ok
    assert requests.get(f"{cloud.control}/faults", timeout=10).json() == []
    workspace.destroy()


def test_a_create_that_fails_leaves_nothing_and_the_next_up_recovers(
    workspace: Workspace, inject: Callable[..., None], client: Callable[..., Any]
) -> None:
    inject(kind="failed-create", type="aws:sqs/*", code="ServiceUnavailable", message="come back later")
    workspace.program(QUEUE)
    failed = workspace.up()
    assert not failed.ok
    assert "ServiceUnavailable: come back later" in failed.output
    assert "QueueUrls" not in client("sqs").list_queues(QueueNamePrefix="faulty-tasks")

    assert workspace.up().steps == {"create": 1, "same": 1}
    workspace.destroy()


def test_a_create_that_fails_half_way_is_recorded_and_mended(
    workspace: Workspace, inject: Callable[..., None], client: Callable[..., Any]
) -> None:
    inject(kind="failed-create", name="tasks", half_way=True)
    workspace.program(QUEUE)
    failed = workspace.up()
    assert not failed.ok
    [url] = client("sqs").list_queues(QueueNamePrefix="faulty-tasks")["QueueUrls"]
    assert workspace.resources()["tasks"]["id"] == url

    mended = workspace.up()
    assert mended.steps == {"update": 1, "same": 1}, mended.output
    assert workspace.up().steps == {"same": 2}
    workspace.destroy()
    assert "QueueUrls" not in client("sqs").list_queues(QueueNamePrefix="faulty-tasks")


def test_drift_is_a_call_made_past_the_engine(workspace: Workspace, inject: Callable[..., None]) -> None:
    workspace.program(QUEUE)
    workspace.up()
    url = workspace.resources()["tasks"]["id"]
    inject(
        kind="drift",
        service="sqs",
        method="set_queue_attributes",
        parameters={"QueueUrl": url, "Attributes": {"DelaySeconds": "7"}},
    )
    refreshed = workspace.refresh()
    assert refreshed.ok
    assert workspace.resources()["tasks"]["outputs"]["delaySeconds"] in (7, "7")
    workspace.destroy()


def test_a_wrong_fault_is_refused_and_says_what_is_wrong(cloud: Addresses) -> None:
    answer = requests.post(f"{cloud.control}/faults", json={"kind": "throttle", "tmes": 2}, timeout=10)
    assert answer.status_code == 400
    assert any("tmes" in error for error in answer.json()["errors"])
