"""What a workflow is in Novu: the form in which its API takes it, and whether it already is so.

A step runs when the trigger asks for its channel: the JSONLogic rule that Novu calls `skip` is the condition on which a
step is carried out (its "step conditions"). Subscribers' preferences are ours, so those of Novu are read-only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from services.notification.workflows.model import Category, Channel, Workflow

_SEVERITY = {
    Category.TICKETS: "high",
    Category.TRANSACTIONAL: "medium",
    Category.REMINDERS: "low",
    Category.MARKETING: "none",
}
_WITH_SUBJECT = (Channel.EMAIL, Channel.PUSH, Channel.IN_APP)


def definition(workflow: Workflow, present: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The body that creates ``workflow``, or updates what is ``present``: its steps keep their identity."""
    ids = {step["stepId"]: step["_id"] for step in present["steps"]} if present else {}
    return {
        "name": workflow.title,
        "workflowId": workflow.name,
        "tags": [workflow.category.value],
        "active": True,
        "severity": "high" if workflow.critical else _SEVERITY[workflow.category],
        "preferences": {
            "workflow": {"all": {"enabled": True, "readOnly": True}, "channels": {}},
        },
        "steps": [
            {**_step(channel), **({"_id": ids[channel.value]} if channel.value in ids else {})}
            for channel in workflow.channels
        ],
    }


def _step(channel: Channel) -> dict[str, Any]:
    values: dict[str, Any] = {
        "body": f"{{{{payload.{channel.value}.body}}}}",
        "skip": {"in": [channel.value, {"var": "payload.channels"}]},
    }
    if channel in _WITH_SUBJECT:
        values["subject"] = f"{{{{payload.{channel.value}.subject}}}}"
    if channel is Channel.EMAIL:
        # The templates escape what they insert; Novu would strip the document around it.
        values |= {"editorType": "html", "disableOutputSanitization": True}
    return {"name": channel.value, "stepId": channel.value, "type": channel.value, "controlValues": values}


def differs(workflow: Workflow, present: Mapping[str, Any]) -> list[str]:
    """The fields in which what is ``present`` in Novu is not ``workflow``; what Novu adds itself is left aside."""
    wanted = definition(workflow)
    told = {
        "preferences": {"workflow": present["preferences"]["default"]},
        "steps": [{**step, "controlValues": step["controls"]["values"]} for step in present["steps"]],
    }
    shown = {**present, **told}
    return [field for field, value in wanted.items() if not _holds(value, shown.get(field))]


def _holds(wanted: Any, shown: Any) -> bool:
    if isinstance(wanted, Mapping):
        return isinstance(shown, Mapping) and all(_holds(value, shown.get(key)) for key, value in wanted.items())
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        return len(wanted) == len(shown or ()) and all(map(_holds, wanted, shown))
    return bool(wanted == shown)
