"""One stack through the Automation API: plan and judge, make, remove; what the engine does is told as it happens."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pulumi import automation
from pulumi.automation import events

from stacks.settings import PROJECT

ROOT = Path(__file__).resolve().parents[1]
PACKS = ("policies/platform",)
_LEVELS = Path("policies", "levels")
# Of an object, what nobody declares and every change moves (Kubernetes API Conventions, "Metadata", "Spec and status").
_SERVERS = (
    *("status", "metadata.generation", "metadata.managedFields", "metadata.resourceVersion"),
    "metadata.annotations.deployment.kubernetes.io/revision",
)
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Step:
    """What the engine means to do to one resource; ``before`` and ``after`` are its inputs."""

    operation: str
    urn: str
    type: str
    changed: tuple[str, ...] = ()
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    parent: str = ""

    @property
    def name(self) -> str:
        return self.urn.rsplit("::", 1)[1]

    @property
    def owner(self) -> str:
        """The component that it belongs to: the innermost of ours in its URN, else its own type."""
        kinds = self.urn.split("::")[2].split("$")
        return next((kind.split(":")[-1] for kind in reversed(kinds) if kind.startswith("platform:")), kinds[-1])


@dataclass(frozen=True, slots=True)
class Plan:
    """Every step but those that change nothing, and what policies advise against but allow."""

    steps: Sequence[Step]
    advice: Sequence[str]


class Failed(RuntimeError):
    """The engine ended with an error; the message is what it told a person, ``steps`` what it meant to do."""

    def __init__(self, message: str, steps: Sequence[Step] = ()) -> None:
        super().__init__(message)
        self.steps = steps


class _Watcher:
    """Turns engine events into progress, and keeps what a person needs to read when it fails."""

    def __init__(self, say: Say, doing: str) -> None:
        self._say, self._doing, self._done = say, doing, 0
        self.problems: list[str] = []
        self.advice: list[str] = []
        self.steps: list[Step] = []
        self.outcomes: list[Step] = []

    def __call__(self, event: automation.EngineEvent) -> None:
        if event.res_outputs_event:
            self._done += 1
            self._resource(event.res_outputs_event.metadata)
            self._outcome(event.res_outputs_event.metadata)
        elif event.resource_pre_event:
            self._resource(event.resource_pre_event.metadata)
            self._step(event.resource_pre_event.metadata)
        elif event.diagnostic_event and event.diagnostic_event.severity == "error":
            self.problems.append(_subject(event.diagnostic_event.urn) + event.diagnostic_event.message.strip())
        elif event.policy_event:
            found = event.policy_event
            told = self.problems if found.enforcement_level == "mandatory" else self.advice
            told.append(f"policy {found.policy_name}: {_subject(found.resource_urn)}{found.message.strip()}")

    def _outcome(self, metadata: events.StepEventMetadata) -> None:
        """What became of a resource: in a refresh, the only word on whether it was as recorded."""
        operation = str(getattr(metadata.op, "value", metadata.op))
        if operation in ("update", "delete"):
            before, after = ((side and side.outputs) or {} for side in (metadata.old, metadata.new))
            changed = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
            self.outcomes.append(Step(operation, metadata.urn, metadata.type, tuple(changed), before, after))

    def _step(self, metadata: events.StepEventMetadata) -> None:
        operation = str(getattr(metadata.op, "value", metadata.op))
        if operation != "same":
            before, after = metadata.old, metadata.new
            self.steps.append(
                Step(
                    operation,
                    metadata.urn,
                    metadata.type,
                    tuple(metadata.keys or metadata.diffs or ()),
                    dict((before and before.inputs) or {}),
                    dict((after and after.inputs) or {}),
                    str((after and after.parent) or ""),
                )
            )

    def _resource(self, metadata: events.StepEventMetadata) -> None:
        kind, name = metadata.type.split(":")[-1], metadata.urn.split("::")[-1]
        self._say(f"{self._doing}, {self._done} done: {kind} {name}")


def levels(name: str, root: Path = ROOT) -> Path:
    """The file of enforcement levels called ``name``, as a stack is; where there is none, the packs' own levels."""
    own = root / _LEVELS / f"{name}.json"
    return own if own.exists() else root / _LEVELS / "default.json"


class Deployment:
    """A stack of the program, whatever cloud its environment variables name."""

    def __init__(self, stack: automation.Stack, *, root: Path = ROOT, extra_packs: Sequence[Path] = ()) -> None:
        """Judged by the packs of the checkout in ``root``, which there is no way around, and ``extra_packs``."""
        self._stack, self._root = stack, root
        self._packs = [str(pack) for pack in (*(root / pack for pack in PACKS), *extra_packs)]
        self.enforce(stack.name)

    def enforce(self, name: str) -> None:
        """Judge what follows at the levels called ``name``; a stack's own are those of its name."""
        ours, others = levels(name, self._root), levels("default", self._root)
        # The engine takes one file of levels for each pack, or none at all.
        self._levels = [str(ours if place < len(PACKS) else others) for place in range(len(self._packs))]

    @property
    def file(self) -> Path:
        """The stack file, which the engine reads."""
        return Path(self._stack.workspace.work_dir, f"Pulumi.{self._stack.name}.yaml")

    def use_images(self, digests: Mapping[str, str]) -> None:
        """Write into the stack file which image each of these services runs: what is planned and made next has it."""
        for service, digest in digests.items():
            key = f"{PROJECT}:services.{service}.image_digest"
            self._stack.set_config(key, automation.ConfigValue(digest), path=True)

    def plan(self, say: Say) -> Plan:
        """Plan and judge; changes nothing. Raises Failed."""
        with _telling(say, "planning and judging") as watcher:
            self._stack.preview(on_event=watcher, policy_packs=self._packs, policy_pack_configs=self._levels)
        return Plan(watcher.steps, list(dict.fromkeys(watcher.advice)))

    def preview(self, say: Say) -> Mapping[str, int]:
        """Plan and judge; changes nothing. Returns resources by operation. Raises Failed."""
        with _telling(say, "planning and judging") as watcher:
            summary = self._stack.preview(
                on_event=watcher, policy_packs=self._packs, policy_pack_configs=self._levels
            ).change_summary
        return {str(getattr(kind, "value", kind)): count for kind, count in summary.items()}

    def drift(self, say: Say) -> list[Step]:
        """What other hands changed or removed: a refresh of the state that is not written. Raises Failed.

        What the program leaves to others (``ignore_changes``: weights of a canary, secrets set by hand) is no drift,
        nor is what Kubernetes itself says of an object.
        """
        with _telling(say, "comparing") as watcher:
            self._stack.preview_refresh(on_event=watcher)
        free = {each["urn"]: each.get("ignoreChanges") or () for each in self.export().get("resources") or ()}
        return [step for step in watcher.outcomes if step.operation != "update" or _ours(step, free.get(step.urn, ()))]

    def up(self, say: Say) -> Mapping[str, int]:
        """Plan, judge, and only then make it so. Returns resources by operation. Raises Failed."""
        self.prepare(say)
        self.preview(say)
        return self.make(say)

    def make(self, say: Say) -> Mapping[str, int]:
        """Make what was planned and judged a moment ago. Returns resources by operation. Raises Failed."""
        with _telling(say, "creating and updating") as watcher:
            summary = (
                self._stack.up(
                    on_event=watcher, policy_packs=self._packs, policy_pack_configs=self._levels
                ).summary.resource_changes
                or {}
            )
        return {str(getattr(kind, "value", kind)): count for kind, count in summary.items()}

    def destroy(self, say: Say) -> None:
        """Delete everything, in order. Raises Failed."""
        self.prepare(say)
        with _telling(say, "deleting") as watcher:
            self._stack.destroy(on_event=watcher)

    def prepare(self, say: Say) -> None:
        """What has to happen before the state is changed; nothing, on AWS."""

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs by name, secrets in plain text; empty before the first `up`."""
        return {name: output.value for name, output in self._stack.outputs().items()}

    def export(self) -> dict[str, Any]:
        """The recorded state, as `pulumi stack export` prints it."""
        return dict(self._stack.export_stack().deployment or {})


def _ours(step: Step, free: Collection[str]) -> bool:
    """Whether something differs besides the paths in ``free`` and, in Kubernetes, what its API server says itself."""
    paths = [*free, *(_SERVERS if step.type.startswith("kubernetes:") else ())]
    before, after = ({name: side.get(name) for name in step.changed} for side in (step.before, step.after))
    return bool(_without(before, paths) != _without(after, paths))


def _without(value: Any, paths: Collection[str]) -> Any:
    """``value`` without what is at ``paths``, as in ``scalingConfig.desiredSize``."""
    if not isinstance(value, dict):
        return value
    below = {key: [path[len(key) + 1 :] for path in paths if path.startswith(f"{key}.")] for key in value}
    return {key: _without(each, below[key]) for key, each in value.items() if key not in paths}


@contextmanager
def _telling(say: Say, doing: str) -> Iterator[_Watcher]:
    """Watch a run of the engine, and turn its failure into what it told."""
    watcher = _Watcher(say, doing)
    try:
        yield watcher
    except automation.CommandError as error:
        raise Failed("\n".join(dict.fromkeys(watcher.problems)) or str(error), watcher.steps) from error


def _subject(urn: str | None) -> str:
    return f"{urn.split('::')[-1]}: " if urn else ""
