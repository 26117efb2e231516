"""How long `pulumi preview` of production takes, against a program of as many resources without our logic.

Both run the same engine, the same language host and the same simulated cloud. The floor is a program that registers
SSM parameters in a loop, so many that it has as many resources as production (components count as resources, and each
of the floor's goes to a provider). What remains is ours: components, stacks, settings, the SDKs of more services, and
the richer inputs that the simulated providers check.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.bench.report import Comparison, Sample, Series, interleaved
from scripts.deployment import PACKS, ROOT, Failed, levels
from scripts.local.cloud import running
from scripts.local.stack import Stack
from scripts.toolchain import pulumi
from scripts.toolchain.pulumi import Engine

NAME, STACK = "preview", "prod"
# Seconds; a preview of production takes a tenth of it.
_TIMEOUT = 600
_PROGRAM = """import pulumi_aws as aws

for number in range({count}):
    aws.ssm.Parameter(f"parameter-{{number}}", type="String", value="cheap")
"""


def measure(say: Callable[[str], None], *, quick: bool) -> list[Comparison]:
    """Preview production, production judged by the policy pack, and the floor, in turn. Raises Failed."""
    engine = pulumi.obtain(say)
    with TemporaryDirectory(prefix="bench-preview-") as folder, running.running() as cloud:
        stack = Stack(STACK, Path(folder), cloud, engine)
        bare = _Preview(engine, Path(folder, "project"), STACK, stack.environment)
        judged = _Preview(engine, Path(folder, "project"), STACK, stack.environment, packs=PACKS)
        say("counting production's resources")
        count = bare.resources()
        # The stack itself is a resource of both.
        floor = _floor(engine, Path(folder, "floor"), count - 1, stack.environment)
        if (found := floor.resources()) != count:
            raise Failed(f"the floor has {found} resources and {STACK} has {count}; they must be as many")
        arms: dict[str, Sample] = {
            "floor": floor.seconds,
            "preview of prod": bare.seconds,
            "with policies": judged.seconds,
        }
        taken = interleaved(arms, 1 if quick else 5, say)
    series = {
        "floor": Series("floor", f"{count} resources: SSM parameters in a loop", taken["floor"]),
        "prod": Series("preview of prod", f"{count} resources, no policy pack", taken["preview of prod"]),
        "judged": Series("preview of prod, judged", f"the same with {', '.join(PACKS)}", taken["with policies"]),
    }
    return [
        Comparison(series["prod"], series["floor"], "s", "lower"),
        Comparison(series["judged"], series["prod"], "s", "lower"),
    ]


class _Preview:
    """`pulumi preview` of one stack of one project folder."""

    def __init__(
        self, engine: Engine, project: Path, stack: str, env: dict[str, str], *, packs: tuple[str, ...] = ()
    ) -> None:
        self._project, self._env = project, env
        judges = [
            option
            for pack in packs
            for option in ("--policy-pack", str(ROOT / pack), "--policy-pack-config", str(levels(stack)))
        ]
        self._command = [str(engine.binary), "preview", "--stack", stack, "--non-interactive", "--json", *judges]

    def resources(self) -> int:
        """How many resources the program registers, the stack included."""
        return sum(json.loads(self._run())["changeSummary"].values())

    def seconds(self) -> float:
        """The wall-clock time of one preview."""
        began = time.perf_counter()
        self._run()
        return time.perf_counter() - began

    def _run(self) -> str:
        done = subprocess.run(
            self._command,
            cwd=self._project,
            env=self._env,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
        if done.returncode:
            raise Failed(f"{' '.join(self._command)} failed:\n{(done.stderr or done.stdout)[-2000:]}")
        return done.stdout


def _floor(engine: Engine, project: Path, count: int, env: dict[str, str]) -> _Preview:
    project.mkdir()
    (project / "Pulumi.yaml").write_text(
        f"name: floor\nmain: floor.py\nruntime:\n  name: python\n  options:\n    virtualenv: {ROOT / '.venv'}\n"
    )
    (project / "floor.py").write_text(_PROGRAM.format(count=count))
    stack = "floor"
    for arguments in (["stack", "init", stack], ["config", "set", "aws:region", env["AWS_REGION"], "--stack", stack]):
        subprocess.run(
            [str(engine.binary), *arguments, "--non-interactive"], cwd=project, env=env, check=True, capture_output=True
        )
    return _Preview(engine, project, stack, env)
