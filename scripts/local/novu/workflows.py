"""Workflows as Novu keeps them (docs.novu.co/api-reference/workflows): created, replaced, listed and read."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_REQUIRED = ("name", "steps")
_SEVERITIES = ("high", "medium", "low", "none")


class Invalid(ValueError):
    """What Novu refuses with 400."""


class Workflows:
    """The workflows, by their identifier, in the dictionary ``kept``."""

    def __init__(self, kept: dict[str, dict[str, Any]]) -> None:
        self._kept = kept

    def find(self, name: str) -> dict[str, Any] | None:
        """The workflow ``name``, in the form of Novu's answers."""
        return self._kept.get(name)

    def listed(self, query: str, limit: int, offset: int) -> dict[str, Any]:
        """A page of those whose name or identifier contains ``query``."""
        found = [
            {
                **{key: value for key, value in workflow.items() if key not in ("preferences", "active", "severity")},
                "steps": [{"slug": step["slug"], "type": step["type"]} for step in workflow["steps"]],
                "stepTypeOverviews": [step["type"] for step in workflow["steps"]],
            }
            for name, workflow in self._kept.items()
            if query in name or query in workflow["name"]
        ]
        return {"workflows": found[offset : offset + limit], "totalCount": len(found)}

    def put(self, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create or replace a workflow; steps that name their ``_id`` keep it. Raises Invalid."""
        if missing := [key for key in _REQUIRED if not body.get(key)]:
            raise Invalid(f"{', '.join(missing)} should not be empty")
        if body.get("severity", "none") not in _SEVERITIES:
            raise Invalid(f"severity must be one of {', '.join(_SEVERITIES)}")
        before = self._kept.get(name, {})
        now = datetime.now(UTC).isoformat()
        known = {step["_id"] for step in before.get("steps", ())}
        database_id = before.get("_id") or secrets.token_hex(12)
        workflow = {
            "_id": database_id,
            "workflowId": name,
            "slug": f"{name}_wf_{database_id}",
            "name": body["name"],
            "description": body.get("description", ""),
            "tags": body.get("tags", []),
            "active": body.get("active", False),
            "severity": body.get("severity", "none"),
            "status": "ACTIVE" if body.get("active") else "INACTIVE",
            "origin": "novu-cloud",
            "createdAt": before.get("createdAt", now),
            "updatedAt": now,
            "preferences": {
                "default": (body.get("preferences") or {}).get("workflow")
                or {"all": {"enabled": True, "readOnly": False}, "channels": {}},
                "user": None,
            },
            "steps": [self._step(step, name, database_id, known) for step in body["steps"]],
        }
        self._kept[name] = workflow
        return workflow

    def _step(self, step: Mapping[str, Any], name: str, database_id: str, known: set[str]) -> dict[str, Any]:
        given = step.get("_id")
        if given is not None and given not in known:
            raise Invalid(f"step {given} does not exist in workflow {name}")
        step_id = step.get("stepId") or step["name"]
        return {
            "_id": given or secrets.token_hex(12),
            "stepId": step_id,
            "slug": f"{step_id}_st",
            "name": step["name"],
            "type": step["type"],
            "origin": "novu-cloud",
            "workflowId": name,
            "workflowDatabaseId": database_id,
            "variables": {},
            "controls": {"values": step.get("controlValues", {})},
            "controlValues": step.get("controlValues", {}),
        }


def channels(workflow: Mapping[str, Any] | None, payload: Mapping[str, Any]) -> list[str]:
    """The channels that a trigger with ``payload`` sends by: of each step whose condition holds.

    Novu carries a step out when its `skip` rule holds; of JSONLogic, membership in a list of the payload is known here.
    A workflow that is not known here sends by the channels that the payload names.
    """
    if workflow is None:
        return list(payload.get("channels", ()))
    return [step["type"] for step in workflow["steps"] if _runs(step["controlValues"].get("skip"), payload)]


def _runs(rule: Mapping[str, Any] | None, payload: Mapping[str, Any]) -> bool:
    if not rule:
        return True
    needle, where = rule["in"]
    return needle in payload.get(where["var"].removeprefix("payload."), ())
