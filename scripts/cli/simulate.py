"""`eventctl simulate`: any stack on a simulated cloud that lives as long as the command."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from scripts.cli import console
from scripts.deployment import Failed
from scripts.local import rehearsal
from scripts.local.cloud import running
from scripts.local.processes import NotReady
from scripts.local.servers.binaries import MissingProgram
from scripts.local.stack import Stack
from scripts.toolchain import pulumi
from scripts.toolchain.cache import CannotObtain


def simulate(
    stack: Annotated[str, typer.Argument(help="A stack: dev, prod or local.")],
    apply: Annotated[
        bool, typer.Option("--apply", help="Make it, make it again, remove it; a minute or two, 2 GiB of memory.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts of operations as JSON.")] = False,
) -> None:
    """Preview a stack, judged by the policy packs, without an AWS account: nothing outside this machine is asked.

    With --apply all of it is made on a simulated AWS and a real Kubernetes API server whose node runs no containers.
    """
    try:
        with console.progress() as progress, TemporaryDirectory(prefix="simulate-") as folder:
            engine = pulumi.obtain(progress.say)
            done: Mapping[str, Any]
            if apply:
                done = _rehearse(stack, Path(folder), engine, progress)
            else:
                with running.running(folder=Path(folder) / "cloud") as cloud:
                    done = Stack(stack, Path(folder), cloud, engine).preview(progress.say)
    except (CannotObtain, Failed, MissingProgram, NotReady) as error:
        console.fail(str(error))
    except KeyboardInterrupt:
        console.fail("interrupted", code=130)
    if as_json:
        console.as_json(done)
    elif not apply:
        console.out.print(f"{stack}: {console.counts(done)}; no policy is violated")


def _rehearse(name: str, folder: Path, engine: pulumi.Engine, progress: console.Progress) -> dict[str, Any]:
    """Make, make again, remove; each step is told when it is done."""
    with rehearsal.rehearsing(name, folder, engine, progress.say) as stack:
        seconds: dict[str, float] = {}
        began = time.monotonic()

        def lap(step: str, told: str) -> None:
            nonlocal began
            seconds[step] = round(time.monotonic() - began, 1)
            progress.done(f"{step}: {told} ({seconds[step]:.0f} s)")
            began = time.monotonic()

        made = stack.up(progress.say)
        lap("made", console.counts(made))
        again = stack.up(progress.say)
        lap("made again", console.counts(again))
        rehearsal.unprotect(stack, progress.say)
        stack.destroy(progress.say)
        left = rehearsal.left_over(stack)
        lap("removed", f"{len(left)} left")
    if left:
        raise Failed("these are left after the destroy:\n" + "\n".join(left))
    return {"made": made, "again": again, "left": left, "seconds": seconds}
