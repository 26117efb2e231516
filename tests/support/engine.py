"""A project in a temporary folder on which tests run the real Pulumi engine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pulumi import automation

from scripts.toolchain import environment, pulumi

CHECKOUT = Path(__file__).resolve().parents[2]

_COUNT = re.compile(r"(\d+) (?:to )?(\w+)")
# The words of the engine's summary, in an update and in a preview.
_KINDS = {
    **{"created": "create", "updated": "update", "deleted": "delete", "replaced": "replace", "unchanged": "same"},
    **{"create": "create", "update": "update", "delete": "delete", "replace": "replace"},
    **{"imported": "import", "import": "import", "errored": "error"},
}


@dataclass(frozen=True, slots=True)
class Result:
    """What one engine command said; ``steps`` counts the resource operations by kind (create, same, update, …)."""

    code: int
    output: str
    steps: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return self.code == 0


class Workspace:
    """One project with one stack, its state in a local folder, its providers attached."""

    def __init__(self, root: Path, debug_providers: str = "", *, region: str = "eu-west-3") -> None:
        self.root = root
        self.state = root / "state"
        self.state.mkdir(parents=True)
        engine = pulumi.find()
        assert engine is not None, "no Pulumi engine: run `make setup`"
        self._binary = engine.binary
        self._env = {**environment.for_engine(engine, self.state, debug_providers), "PULUMI_HOME": str(root / "home")}
        self._env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(CHECKOUT), os.environ.get("PYTHONPATH")]))
        (root / "Pulumi.yaml").write_text(
            "name: sample\nmain: program.py\nruntime:\n  name: python\n  options:\n"
            f"    virtualenv: {Path(sys.prefix)}\n"
        )
        (root / "program.py").write_text("")
        self.run("stack", "init", "test").check()
        self.run("config", "set", "aws:region", region).check()

    def program(self, source: str) -> None:
        """Replace the program."""
        (self.root / "program.py").write_text("import pulumi\nimport pulumi_aws as aws\n" + textwrap.dedent(source))

    def run(self, *arguments: str, timeout: float = 120) -> Command:
        """Run ``pulumi ARGUMENTS`` on the stack."""
        command = [str(self._binary), *arguments, "--non-interactive", "--color", "never"]
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Command(done.returncode, done.stdout)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start ``pulumi ARGUMENTS`` on the stack and return at once; the caller ends it."""
        command = [str(self._binary), *arguments, "--non-interactive"]
        return subprocess.Popen(
            command, cwd=self.root, env=self._env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def automated(self) -> automation.Stack:
        """The stack, for code that takes one of the Automation API."""
        command = automation.PulumiCommand(root=str(self._binary.parents[1]), skip_version_check=True)
        project = automation.LocalWorkspace(work_dir=str(self.root), env_vars=self._env, pulumi_command=command)
        return automation.Stack.select("test", project)

    def up(self, *arguments: str) -> Result:
        """Run ``pulumi up``; a failure is in the result, not raised."""
        return self._events("up", "--yes", "--skip-preview", *arguments)

    def preview(self, *arguments: str) -> Result:
        return self._events("preview", *arguments)

    def refresh(self, *arguments: str) -> Result:
        return self._events("refresh", "--yes", "--skip-preview", *arguments)

    def destroy(self, *arguments: str) -> Result:
        return self._events("destroy", "--yes", "--skip-preview", *arguments)

    def _events(self, *arguments: str) -> Result:
        done = self.run(*arguments, "--suppress-progress", "--diff")
        _, _, summary = done.output.rpartition("Resources:")
        counted = {_KINDS[word]: int(number) for number, word in _COUNT.findall(summary) if word in _KINDS}
        return Result(done.code, done.output, counted)

    def resources(self) -> dict[str, dict[str, Any]]:
        """What ``pulumi stack export`` lists, by logical name (providers and the stack left out)."""
        done = self.run("stack", "export", "--show-secrets")
        listed = json.loads(done.check().output)["deployment"].get("resources", [])
        custom = [item for item in listed if item.get("custom") and not item["type"].startswith("pulumi:")]
        return {item["urn"].rsplit("::", 1)[1]: item for item in custom}

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, secrets shown."""
        outputs: dict[str, Any] = json.loads(self.run("stack", "output", "--json", "--show-secrets").check().output)
        return outputs


@dataclass(frozen=True, slots=True)
class Command:
    """Exit code and output (both streams) of one command."""

    code: int
    output: str

    def check(self) -> Command:
        assert self.code == 0, self.output
        return self
