"""What other hands changed is found by comparing, and nothing is changed by that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scripts.deployment import Deployment
from tests.support.engine import Workspace


def test_drift_names_the_resource_and_the_property_and_changes_neither_side(
    workspace: Workspace, client: Callable[[str], Any]
) -> None:
    workspace.program('aws.sqs.Queue("tasks", visibility_timeout_seconds=60)\naws.sqs.Queue("other")')
    assert workspace.up().ok
    deployment = Deployment(workspace.automated())
    assert deployment.drift(lambda _: None) == []
    url = workspace.resources()["tasks"]["outputs"]["url"]
    client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "5"})
    for _ in range(2):
        [found] = deployment.drift(lambda _: None)
        assert (found.operation, found.name, found.changed) == ("update", "tasks", ("visibilityTimeoutSeconds",))
    assert workspace.resources()["tasks"]["outputs"]["visibilityTimeoutSeconds"] == 60
    assert workspace.destroy().ok


def test_what_was_removed_by_other_hands_is_found(workspace: Workspace, client: Callable[[str], Any]) -> None:
    workspace.program('aws.sqs.Queue("tasks")')
    assert workspace.up().ok
    client("sqs").delete_queue(QueueUrl=workspace.resources()["tasks"]["outputs"]["url"])
    [found] = Deployment(workspace.automated()).drift(lambda _: None)
    assert (found.operation, found.name) == ("delete", "tasks")
