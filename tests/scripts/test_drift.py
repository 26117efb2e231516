"""What is drift, and what is not: the program's own changes to a resource and everybody else's."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.deployment import Step, _ours

RULE, GROUP, OBJECT = "aws:lb/listenerRule:ListenerRule", "aws:eks/nodeGroup:NodeGroup", "kubernetes:apps/v1:Deployment"


def step(kind: str, before: dict[str, Any], after: dict[str, Any]) -> Step:
    changed = tuple(sorted(key for key in {*before, *after} if before.get(key) != after.get(key)))
    return Step("update", f"urn:pulumi:dev::p::{kind}::one", kind, changed, before, after)


@pytest.mark.parametrize(
    ("found", "free", "drift"),
    [
        (step(RULE, {"actions": [1]}, {"actions": [2]}), ["actions"], False),
        (step(RULE, {"actions": [1], "priority": 1}, {"actions": [2], "priority": 2}), ["actions"], True),
        (
            step(
                GROUP,
                {"scalingConfig": {"desiredSize": 2, "maxSize": 4}},
                {"scalingConfig": {"desiredSize": 3, "maxSize": 4}},
            ),
            ["scalingConfig.desiredSize"],
            False,
        ),
        (
            step(
                GROUP,
                {"scalingConfig": {"desiredSize": 2, "maxSize": 4}},
                {"scalingConfig": {"desiredSize": 2, "maxSize": 9}},
            ),
            ["scalingConfig.desiredSize"],
            True,
        ),
        (
            step(
                OBJECT,
                {"metadata": {"resourceVersion": "1", "annotations": {"deployment.kubernetes.io/revision": "1"}}},
                {"metadata": {"resourceVersion": "2", "annotations": {"deployment.kubernetes.io/revision": "2"}}},
            ),
            [],
            False,
        ),
        (step(OBJECT, {"status": {"replicas": 1}}, {"status": {"replicas": 2}}), [], False),
        (step(OBJECT, {"metadata": {"labels": {"a": "1"}}}, {"metadata": {"labels": {"a": "2"}}}), [], True),
        (step(OBJECT, {"spec": {"replicas": 1}}, {"spec": {"replicas": 2}}), [], True),
        (step(RULE, {"status": 1}, {"status": 2}), [], True),
    ],
    ids=[
        "left free",
        "beside it",
        "a part left free",
        "the rest of it",
        "bookkeeping",
        "status",
        "label",
        "spec",
        "aws",
    ],
)
def test_drift_is_what_the_program_says_otherwise(found: Step, free: list[str], drift: bool) -> None:
    assert _ours(found, free) is drift
