"""A claim gets a volume when its pod has a place, and the volume goes with the claim."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scripts.local.kubernetes.storage import volume

CLASS: dict[str, Any] = {"metadata": {"name": "encrypted"}, "reclaimPolicy": "Delete"}
CLAIM: dict[str, Any] = {
    "metadata": {"name": "data-search-0", "namespace": "platform", "uid": "1-2-3", "resourceVersion": "9"},
    "spec": {
        "accessModes": ["ReadWriteOncePod"],
        "storageClassName": "encrypted",
        "resources": {"requests": {"storage": "5Gi"}},
    },
}


def test_a_volume_is_as_large_as_was_claimed_and_meant_for_its_claim_alone(tmp_path: Path) -> None:
    made = volume(CLAIM, CLASS, tmp_path)
    assert made["spec"]["capacity"] == {"storage": "5Gi"}
    assert made["spec"]["claimRef"]["uid"] == "1-2-3"
    assert made["spec"]["storageClassName"] == "encrypted"
    assert made["spec"]["hostPath"]["path"] == str(tmp_path / "pvc-1-2-3")


@pytest.mark.parametrize(("said", "kept"), [("Retain", "Retain"), ("Delete", "Delete"), (None, "Delete")])
def test_a_volume_is_kept_as_its_class_says(tmp_path: Path, said: str | None, kept: str) -> None:
    spoken = {key: value for key, value in {**CLASS, "reclaimPolicy": said}.items() if value}
    assert volume(CLAIM, spoken, tmp_path)["spec"]["persistentVolumeReclaimPolicy"] == kept
