"""What was made for which stack, until a state has it.

An engine that is killed in the middle of an update leaves resources that are there, but that no state knows; those with
names of their own would stand in the way of the next update. The providers outlive the engine, so they write down what
they make, and can remove what was never recorded.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from scripts.local.cloud.backend import Backend, PartiallyCreated, Properties, Resource

log = logging.getLogger(__name__)
# Seconds that a create gets to end after its engine did: a database on a real server takes one or two.
_WAIT = 60.0
# After these, a create that only waits for readiness (a Deployment) is not waited for: nobody hears the answer.
_READINESS = 10.0
# What a person would switch off before deleting; the first are AWS's own properties, the others choices of the delete.
_PROTECTIONS: Properties = {"deletionProtection": False, "enableDeletionProtection": False}
_AT_ONCE: Properties = {
    "forceDestroy": True,
    "forceDelete": True,
    "recoveryWindowInDays": 0,
    "skipFinalSnapshot": True,
}


class Leftover(Exception):
    """What no state knows could not be removed; the message names each with its reason."""


@dataclass(frozen=True, slots=True)
class Known:
    """A resource that a stack's state has; ``region`` is None where a type has none."""

    type: str
    id: str
    region: str | None = None


@dataclass(slots=True, eq=False)
class _Entry:
    backend: Backend
    resource: Resource
    inputs: Properties
    id: str = ""
    state: Properties = field(default_factory=dict)
    busy: bool = True

    def made(self, id: str, state: Properties) -> None:
        """Note what the create came to."""
        self.id, self.state = id, state

    def known(self, recorded: Collection[Known]) -> bool:
        """Whether a state has it."""
        region = self.state.get("region")
        same = (each.region for each in recorded if (each.type, each.id) == (self.resource.type, self.id))
        return any(each is None or region is None or each == region for each in same)

    def remove(self) -> None:
        """Delete it, whatever protects it: it is new, and nobody's."""
        state = self.state
        lifted = {name: off for name, off in _PROTECTIONS.items() if self.inputs.get(name)}
        if lifted:
            inputs = {**self.inputs, **lifted}
            state = self.backend.update(
                self.resource, self.id, state, self.inputs, inputs, preview=False, timeout=0, ignore=[]
            )
        # Only a property that the type has stands in its state.
        at_once = {name: choice for name, choice in _AT_ONCE.items() if name in state}
        self.backend.delete(self.resource, self.id, {**state, **at_once}, timeout=0)


class Journal:
    """What the providers made since each stack was last known to be whole. Safe for use by several threads."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []
        self._changed = threading.Condition()

    @contextmanager
    def making(self, backend: Backend, resource: Resource, inputs: Properties) -> Iterator[_Entry]:
        """A create under way; what it makes, whole or half, stays written down."""
        entry = _Entry(backend, resource, inputs)
        with self._changed:
            self._entries.append(entry)
        try:
            yield entry
        except PartiallyCreated as half:
            entry.made(half.id, half.state)
            raise
        finally:
            with self._changed:
                entry.busy = False
                # In the order in which they were done: what needs another one comes after it.
                self._entries = [each for each in self._entries if each is not entry]
                self._entries += [entry] if entry.id else []
                self._changed.notify_all()

    def gone(self, resource: Resource, id: str) -> None:
        """It was deleted."""
        with self._changed:
            self._entries = [each for each in self._entries if (each.resource.urn, each.id) != (resource.urn, id)]

    def settle(self, project: str, stack: str) -> None:
        """The stack's state has everything that was made for it, or left it out on purpose: forget what was made."""
        with self._changed:
            self._entries = [each for each in self._entries if not _of(each, project, stack)]

    def remove_orphans(self, project: str, stack: str, recorded: Collection[Known]) -> list[str]:
        """Delete what was made for the stack and is not ``recorded``; returns the URNs. Raises Leftover."""
        orphans = [each for each in self._ended(project, stack) if not each.known(recorded)]
        removed: list[str] = []
        reasons: dict[str, str] = {}
        # Last made, first deleted. Creates that ended together may need a second pass.
        while orphans:
            left: list[_Entry] = []
            for orphan in reversed(orphans):
                try:
                    orphan.remove()
                except Exception as error:
                    log.exception("removing %s", orphan.resource.urn)
                    reasons[orphan.resource.urn] = str(error)
                    left.insert(0, orphan)
                else:
                    self.gone(orphan.resource, orphan.id)
                    removed.append(orphan.resource.urn)
            if len(left) == len(orphans):
                raise Leftover("; ".join(f"{each.resource.urn}: {reasons[each.resource.urn]}" for each in left))
            orphans = left
        self.settle(project, stack)
        return removed

    def _ended(self, project: str, stack: str) -> list[_Entry]:
        """The stack's entries, once no create is under way. Raises Leftover when one does not end."""
        started = time.monotonic()
        with self._changed:
            while busy := [each for each in self._entries if each.busy and _of(each, project, stack)]:
                passed = time.monotonic() - started
                if passed > _READINESS:
                    for entry in busy:
                        if id := entry.backend.id_ahead(entry.resource, entry.inputs):
                            entry.made(id, entry.inputs)
                            entry.busy = False
                if passed > _WAIT:
                    names = ", ".join(each.resource.urn for each in busy)
                    raise Leftover(f"still being made after {_WAIT:.0f} s: {names}; try again when that has ended")
                self._changed.wait(0.5)
            return [each for each in self._entries if _of(each, project, stack)]


def _of(entry: _Entry, project: str, stack: str) -> bool:
    return entry.resource.urn.startswith(f"urn:pulumi:{stack}::{project}::")
