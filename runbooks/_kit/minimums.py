"""How many pods or nodes there are at least, changed for a while: what was before is remembered, so that a later run,
by whomever, goes back to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runbooks._kit import machines
from runbooks._kit.kubernetes import Cluster, Size
from runbooks._kit.machines import NodeGroup
from runbooks._kit.model import Action
from runbooks._kit.target import Target

Memory = Mapping[str, Mapping[str, Any]]
"""What was before, as it is told, by `key`."""


def key(of: Size | NodeGroup) -> str:
    """The name of ``of`` among all that have a minimum."""
    return f"{of.told['kind']} {of.told['name']}"


def changed(verb: str, of: Size | NodeGroup, least: int, memory: Memory, **note: Any) -> Action:
    """Have ``of`` at least ``least`` for a while. The oldest memory is what the stack said; ``note`` goes with it."""
    told = {**of.told, "least": least}
    if isinstance(of, NodeGroup):
        told["desired"] = max(least, of.desired)
    return Action(
        id=f"{verb} {key(of)}",
        what=f"{verb} {key(of)}: at least {least}, not {of.least}",
        before=of.told,
        after={**told, "memory": memory.get(key(of)) or {**of.told, **note}},
    )


def restored(of: Size | NodeGroup, memory: Memory) -> Action:
    """Have ``of`` as it was before, and forget."""
    told = {name: memory[key(of)][name] for name in of.told}
    return Action(
        id=f"restore {key(of)}",
        what=f"give {key(of)} back what it had: at least {told['least']}, not {of.least}",
        before=of.told,
        after={**told, "memory": None},
    )


def carry_out(target: Target, action: Action, *, by: str) -> dict[str, Any]:
    """Do what `changed` or `restored` planned for the runbook ``by``."""
    return {"memory": _write(target, action.after, action.after["memory"], by)}


def take_back(target: Target, action: Action, result: Mapping[str, Any], *, by: str) -> None:
    """Undo it, from what `carry_out` returned."""
    _write(target, action.before, result["memory"], by)


def _write(target: Target, told: Mapping[str, Any], note: Any, by: str) -> Any:
    """Returns what was remembered of it. Remembered first and forgotten last: cut short, nothing is lost."""
    name = f"{told['kind']} {told['name']}"
    with Cluster.connected(target) as cluster:
        memory = cluster.remembered(by)
        before = memory.pop(name, None)
        if note:
            cluster.remember({**memory, name: note}, by=by)
        if told["kind"] == machines.NODES:
            machines.resize(target, told)
        else:
            cluster.resize(told)
        if not note:
            cluster.remember(memory, by=by)
    return before
