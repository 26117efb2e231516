"""What an engine that was killed leaves behind is cleared away, so that the next update needs no hand work.

It leaves its lock, operations that are "pending" in the state, and resources that are there but not in the state.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import requests
from pulumi import automation

# Longer than the cloud waits for creates that are under way.
_TIMEOUT = 300


class NotRecovered(RuntimeError):
    """The stack cannot be worked on yet; the message says why, and what to do."""


def recover(stack: automation.Stack, state: Path, control: str) -> list[str]:
    """Make ``stack``, whose state is in the folder ``state``, ready for the next run of the engine.

    Returns the URNs of what was removed, because it had been made but not recorded. Raises NotRecovered.
    """
    whose = {"project": stack.workspace.project_settings().name, "stack": stack.name}
    # The stack's own: another one of the same state may be at work.
    locks = state / ".pulumi" / "locks" / "organization" / whose["project"] / whose["stack"]
    left = list(locks.rglob("*.json"))
    for lock in left:
        _refuse_if_alive(lock)
    exported = stack.export_stack()
    deployment: Mapping[str, Any] = exported.deployment or {}
    if not left and not deployment.get("pending_operations"):
        requests.delete(f"{control}/orphans", json=whose, timeout=_TIMEOUT).raise_for_status()
        return []
    answer = requests.post(f"{control}/orphans", json={**whose, "recorded": _recorded(deployment)}, timeout=_TIMEOUT)
    if not answer.ok:
        raise NotRecovered(
            "the last update was killed, and what it left cannot be removed: "
            f"{'; '.join(answer.json()['errors'])}. Mend that and try again, or start afresh with `make down`"
        )
    shutil.rmtree(locks, ignore_errors=True)
    if deployment.get("pending_operations"):
        stack.import_stack(
            automation.Deployment(version=exported.version, deployment={**deployment, "pending_operations": []})
        )
    removed: list[str] = answer.json()["removed"]
    return removed


def _refuse_if_alive(lock: Path) -> None:
    """The engine writes into its lock who it is."""
    pid = int(json.loads(lock.read_text()).get("pid", 0))
    with suppress(psutil.NoSuchProcess):
        if psutil.Process(pid).name().startswith("pulumi"):
            raise NotRecovered(
                f"an engine is at work on this stack, pid {pid}: wait until it is done, or end it (kill {pid})"
            )


def _recorded(deployment: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the state has. What is pending replacement is deleted already: its successor is not recorded."""
    return [
        {"type": each["type"], "id": each["id"], "region": (each.get("outputs") or {}).get("region")}
        for each in deployment.get("resources") or []
        if each.get("custom") and each.get("id") and not each.get("pendingReplacement")
    ]
