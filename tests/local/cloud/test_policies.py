"""The packs under the real engine: an environment's levels decide whether it stops, warns or mends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts.deployment import PACKS, ROOT
from tests.support.engine import Workspace

KEY = """
key = aws.kms.Key("key", description="of a test")
pulumi.export("id", key.key_id)
"""


def judged(tmp_path: Path, **levels: str) -> tuple[str, ...]:
    """Options of the engine for the packs with ``levels``; all other policies are off."""
    file = tmp_path / "levels.json"
    file.write_text(
        json.dumps({"all": "disabled", **{name.replace("_", "-"): level for name, level in levels.items()}})
    )
    return "--policy-pack", str(ROOT / PACKS[0]), "--policy-pack-config", str(file)


def test_a_mandatory_policy_stops_the_preview_and_an_advisory_one_warns(workspace: Workspace, tmp_path: Path) -> None:
    workspace.program('aws.sqs.Queue("open", sqs_managed_sse_enabled=False)')
    stopped = workspace.preview(*judged(tmp_path, queue_encrypted="mandatory"))
    assert not stopped.ok
    assert "queue-encrypted" in stopped.output
    assert "sqsManagedSseEnabled" in stopped.output
    warned = workspace.preview(*judged(tmp_path, queue_encrypted="advisory"))
    assert warned.ok, warned.output
    assert "queue-encrypted" in warned.output


def test_a_remediation_mends_a_resource_in_place_and_says_so(
    workspace: Workspace, tmp_path: Path, client: Callable[[str], Any]
) -> None:
    workspace.program(KEY)
    assert workspace.up().ok
    before = workspace.outputs()["id"]
    kms = client("kms")
    assert not kms.get_key_rotation_status(KeyId=before)["KeyRotationEnabled"]
    mended = workspace.up(*judged(tmp_path, key_rotates="remediate"))
    assert mended.ok, mended.output
    assert "key-rotates" in mended.output
    assert "enableKeyRotation" in mended.output
    assert mended.steps.get("update") == 1
    assert "replace" not in mended.steps
    assert workspace.outputs()["id"] == before
    assert kms.get_key_rotation_status(KeyId=before)["KeyRotationEnabled"]
