"""Run the repository's own Pulumi program on the simulated cloud, with its policy packs, through the Automation API.

The program runs from a project folder of its own (links to the sources, copies of the stack files), because the engine
writes into stack files and the checkout must stay as it was committed.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import yaml
from pulumi import automation
from pulumi.automation import events

from scripts.local.cloud import recovery
from scripts.local.cloud.running import Addresses
from scripts.toolchain import environment
from scripts.toolchain.pulumi import Engine
from stacks.settings import PROJECT

ROOT = Path(__file__).resolve().parents[2]
PACKS = ("policies/platform",)
_LINKED = ("stacks", "policies", "components", ".venv")
Say = Callable[[str], None]


class Failed(RuntimeError):
    """The engine ended with an error; the message is what it told a person."""


class _Watcher:
    """Turns engine events into progress, and keeps what a person needs to read when it fails."""

    def __init__(self, say: Say, doing: str) -> None:
        self._say, self._doing, self._done = say, doing, 0
        self.problems: list[str] = []

    def __call__(self, event: automation.EngineEvent) -> None:
        if event.res_outputs_event:
            self._done += 1
            self._resource(event.res_outputs_event.metadata)
        elif event.resource_pre_event:
            self._resource(event.resource_pre_event.metadata)
        elif event.diagnostic_event and event.diagnostic_event.severity == "error":
            self.problems.append(_subject(event.diagnostic_event.urn) + event.diagnostic_event.message.strip())
        elif event.policy_event and event.policy_event.enforcement_level == "mandatory":
            found = event.policy_event
            self.problems.append(f"policy {found.policy_name}: {_subject(found.resource_urn)}{found.message.strip()}")

    def _resource(self, metadata: events.StepEventMetadata) -> None:
        kind, name = metadata.type.split(":")[-1], metadata.urn.split("::")[-1]
        self._say(f"{self._doing}, {self._done} done: {kind} {name}")


class Stack:
    """One stack of the program, its state in ``folder``, on the cloud at ``cloud``."""

    def __init__(
        self,
        name: str,
        folder: Path,
        cloud: Addresses,
        engine: Engine,
        *,
        settings: Mapping[str, Any] | None = None,
        extra_packs: tuple[Path, ...] = (),
        root: Path = ROOT,
    ) -> None:
        """``settings`` replace values of the stack file, by their path (``outside.issuer``); ``root`` is the checkout.

        Raises Failed when there is no such stack.
        """
        self.name, self.folder = name, folder
        self._control = cloud.control
        self._packs = [str(root / pack) for pack in PACKS] + [str(pack) for pack in extra_packs]
        _lay_out(root, name, folder / "project", settings or {})
        (folder / "state").mkdir(exist_ok=True)
        self.environment = {
            **environment.for_engine(engine, folder / "state", cloud.debug_providers),
            **cloud.environment(),
            "PULUMI_HOME": str(folder / "home"),
            "PYTHONPATH": str(root),
        }
        workspace = automation.LocalWorkspace(
            work_dir=str(folder / "project"),
            env_vars=self.environment,
            pulumi_command=automation.PulumiCommand(root=str(engine.binary.parents[1]), skip_version_check=True),
        )
        self._stack = automation.Stack.create_or_select(name, workspace)

    def preview(self, say: Say) -> Mapping[str, int]:
        """Plan and judge; changes nothing. Returns resources by operation. Raises Failed."""
        with _telling(say, "planning and judging") as watcher:
            summary = self._stack.preview(on_event=watcher, policy_packs=self._packs).change_summary
        return {str(getattr(kind, "value", kind)): count for kind, count in summary.items()}

    def up(self, say: Say) -> Mapping[str, int]:
        """Plan, judge, and only then make it so. Returns resources by operation. Raises Failed."""
        self._recover(say)
        self.preview(say)
        with _telling(say, "creating and updating") as watcher:
            summary = self._stack.up(on_event=watcher, policy_packs=self._packs).summary.resource_changes or {}
        return {str(getattr(kind, "value", kind)): count for kind, count in summary.items()}

    def destroy(self, say: Say) -> None:
        """Delete everything, in order. Raises Failed."""
        self._recover(say)
        with _telling(say, "deleting") as watcher:
            self._stack.destroy(on_event=watcher)

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs by name, secrets in plain text; empty before the first `up`."""
        return {name: output.value for name, output in self._stack.outputs().items()}

    def export(self) -> dict[str, Any]:
        """The recorded state, as `pulumi stack export` prints it."""
        return dict(self._stack.export_stack().deployment or {})

    def client(self, service: str) -> Any:
        """A boto3 client of this stack's cloud."""
        env = self.environment
        make: Callable[..., Any] = boto3.client
        return make(
            service,
            endpoint_url=env["AWS_ENDPOINT_URL"],
            region_name=env["AWS_REGION"],
            aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
        )

    def _recover(self, say: Say) -> None:
        """Clear away what an engine that was killed left. Raises Failed, also when one is at work."""
        say("looking at what the last update left")
        try:
            removed = recovery.recover(self._stack, self.folder / "state", self._control)
        except recovery.NotRecovered as error:
            raise Failed(str(error)) from error
        for urn in removed:
            say(f"removed what the last update made but did not record: {urn}")


@contextmanager
def _telling(say: Say, doing: str) -> Iterator[_Watcher]:
    """Watch a run of the engine, and turn its failure into what it told."""
    watcher = _Watcher(say, doing)
    try:
        yield watcher
    except automation.CommandError as error:
        raise Failed("\n".join(dict.fromkeys(watcher.problems)) or str(error)) from error


def _lay_out(root: Path, name: str, project: Path, settings: Mapping[str, Any]) -> None:
    project.mkdir(parents=True, exist_ok=True)
    for source in _LINKED:
        link = project / source
        link.unlink(missing_ok=True)
        link.symlink_to(root / source)
    shutil.copy(root / "Pulumi.yaml", project)
    stack_file = root / f"Pulumi.{name}.yaml"
    if not stack_file.exists():
        known = ", ".join(sorted(path.name.split(".")[1] for path in root.glob("Pulumi.*.yaml")))
        raise Failed(f"stack {name!r} has no {stack_file.name}; stacks are {known}")
    content = yaml.safe_load(stack_file.read_text())
    for path, value in settings.items():
        first, *rest = path.split(".")
        target, last = content["config"], f"{PROJECT}:{first}"
        for part in rest:
            target, last = target[last], part
        target[last] = value
    kept = project / stack_file.name
    salt = (yaml.safe_load(kept.read_text()) or {}).get("encryptionsalt") if kept.exists() else None
    kept.write_text(yaml.safe_dump({**content, **({"encryptionsalt": salt} if salt else {})}, sort_keys=False))


def _subject(urn: str | None) -> str:
    return f"{urn.split('::')[-1]}: " if urn else ""
