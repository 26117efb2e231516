"""Run the repository's own Pulumi program on the simulated cloud, with its policy packs, through the Automation API.

The program runs from a project folder of its own (links to the sources, copies of the stack files), because the engine
writes into stack files and the checkout must stay as it was committed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pulumi import automation

from scripts import project
from scripts.deployment import ROOT, Deployment, Failed, Say
from scripts.local.cloud import recovery
from scripts.local.cloud.running import Addresses
from scripts.toolchain import environment
from scripts.toolchain.pulumi import Engine
from stacks.settings import PROJECT


class Stack(Deployment):
    """One stack of the program, its state in ``folder``, on the cloud at ``cloud``."""

    def __init__(
        self,
        name: str,
        folder: Path,
        cloud: Addresses,
        engine: Engine,
        *,
        settings: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
        extra_packs: tuple[Path, ...] = (),
        root: Path = ROOT,
        lasting: bool = True,
    ) -> None:
        """``settings`` replace values of the stack file, by their path (``outside.issuer``); ``root`` is the checkout.
        A stack without a file of its own, as a preview's, is given its whole ``config``, and a project folder.

        A stack that is not ``lasting`` has its state written at the end of a run alone: writing it after every step is
        most of a large run, and matters only to whoever goes on after a crash.

        Raises Failed when there is no such stack.
        """
        self.name, self.folder = name, folder
        self.cloud = cloud
        place = folder / "project"
        if config is None:
            _lay_out(root, name, place, settings or {})
        else:
            place = folder / "projects" / name
            project.lay_out(root, place, name, config)
        (folder / "state").mkdir(exist_ok=True)
        self.environment = {
            **environment.for_engine(engine, folder / "state", cloud.debug_providers),
            **cloud.environment(),
            "PULUMI_HOME": str(folder / "home"),
            "PYTHONPATH": str(root),
            **({} if lasting else {"PULUMI_SKIP_CHECKPOINTS": "true"}),
        }
        workspace = environment.workspace(engine, place, self.environment)
        super().__init__(automation.Stack.create_or_select(name, workspace), root=root, extra_packs=extra_packs)

    def settings(self, changed: Mapping[str, Any]) -> None:
        """Replace values of the stack file, by their path, for the runs that follow."""
        _lay_out(self._root, self.name, self.folder / "project", changed)

    def restore(self, deployment: Mapping[str, Any]) -> None:
        """Take ``deployment``, as `export` gives it, for the recorded state; its secrets may be in plain text."""
        salt = self._stack.workspace.stack_settings(self.name).encryption_salt
        sealed = {**deployment, "secrets_providers": {"type": "passphrase", "state": {"salt": salt}}}
        self._stack.import_stack(automation.Deployment(version=3, deployment=sealed))

    def client(self, service: str) -> Any:
        """A boto3 client of this stack's cloud."""
        return self.cloud.client(service)

    def prepare(self, say: Say) -> None:
        """Clear away what an engine that was killed left. Raises Failed, also when one is at work."""
        say("looking at what the last update left")
        try:
            removed = recovery.recover(self._stack, self.folder / "state", self.cloud.control)
        except recovery.NotRecovered as error:
            raise Failed(str(error)) from error
        for urn in removed:
            say(f"removed what the last update made but did not record: {urn}")


def _lay_out(root: Path, name: str, folder: Path, settings: Mapping[str, Any]) -> None:
    stack_file = root / f"Pulumi.{name}.yaml"
    if not stack_file.exists():
        known = ", ".join(sorted(path.name.split(".")[1] for path in root.glob("Pulumi.*.yaml")))
        raise Failed(f"stack {name!r} has no {stack_file.name}; stacks are {known}")
    config = yaml.safe_load(stack_file.read_text())["config"]
    for path, value in settings.items():
        first, *rest = path.split(".")
        target, last = config, f"{PROJECT}:{first}"
        for part in rest:
            target, last = target[last], part
        target[last] = value
    project.lay_out(root, folder, name, config)
