"""`eventctl simulate`: any stack on a simulated cloud that lives as long as the command."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from scripts.cli import console
from scripts.local.cloud import running
from scripts.local.processes import NotReady
from scripts.local.stack import Failed, Stack
from scripts.toolchain import pulumi
from scripts.toolchain.cache import CannotObtain


def simulate(
    stack: Annotated[str, typer.Argument(help="A stack: dev, prod or local.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts of operations as JSON.")] = False,
) -> None:
    """Preview a stack, judged by the policy packs, without an AWS account: nothing outside this machine is asked."""
    try:
        with console.progress() as progress, TemporaryDirectory(prefix="simulate-") as folder:
            engine = pulumi.obtain(progress.say)
            with running.running(folder=Path(folder) / "cloud") as cloud:
                changes = Stack(stack, Path(folder), cloud, engine).preview(progress.say)
    except (CannotObtain, Failed, NotReady) as error:
        console.fail(str(error))
    except KeyboardInterrupt:
        console.fail("interrupted", code=130)
    if as_json:
        console.as_json(changes)
    else:
        counts = ", ".join(f"{count} to {kind}" for kind, count in sorted(changes.items()))
        console.out.print(f"{stack}: {counts}; no policy is violated")
