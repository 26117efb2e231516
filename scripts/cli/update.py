"""`eventctl up` and `eventctl drift`: a stack on AWS, by the backend and the credentials of the shell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated

import typer
from pulumi import automation

from scripts import guard
from scripts.cli import console
from scripts.deployment import ROOT, Deployment, Failed, levels
from scripts.toolchain import environment, pulumi
from scripts.toolchain.cache import CannotObtain

StackName = Annotated[str, typer.Argument(help="A stack of the backend in use: dev or prod.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a script to read.")]
DRIFTED = 3


def up(
    stack: StackName,
    allow_replace: Annotated[
        list[str] | None, typer.Option(help="URN of a stateful resource that may be replaced or deleted; repeatable.")
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Make the changes; without it they are only planned.")] = False,
    at: Annotated[
        str,
        typer.Option(
            "--levels", help="Judge at policies/levels/NAME.json, not at the stack's own: default, to take it down."
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Plan a stack under every policy pack, refuse to lose data unasked, and with --apply make it so.

    Exit 0 done, 1 failed, 2 refused.
    """
    if at:
        _must_exist(at)
    with explained(), console.progress() as progress:
        deployment = opened(stack, progress)
        if at:
            deployment.enforce(at)
        allowed = allow_replace or []
        if apply:
            changes = Counter(guard.up(deployment, progress.say, allowed=allowed))
        else:
            changes = Counter(step.operation for step in guard.plan(deployment, progress.say, allowed=allowed).steps)
    if as_json:
        console.as_json(changes)
    else:
        counts = console.counts(changes) or "no changes"
        console.out.print(f"{stack}: {counts}" + ("" if apply else "; nothing was changed, --apply makes it so"))


def drift(stack: StackName, as_json: AsJson = False) -> None:
    """Compare what AWS has with what the state says; changes neither. Exit 0 equal, 3 different."""
    with explained(), console.progress() as progress:
        found = opened(stack, progress).drift(progress.say)
    if as_json:
        console.as_json([asdict(step) for step in found])
    elif found:
        console.table(
            ["component", "resource", "what happened", "properties"],
            [[step.owner, step.name, step.operation, ", ".join(step.changed)] for step in found],
        )
    else:
        console.out.print(f"{stack} is as it was made")
    if found:
        raise typer.Exit(DRIFTED)


def _must_exist(name: str) -> None:
    """Refuse levels that nobody wrote: with a misspelt name, the judgement would be another than was meant."""
    if levels(name).stem != name:
        there = ", ".join(sorted(file.stem for file in levels("default").parent.glob("*.json")))
        console.fail(f"--levels {name}: there is no such file in policies/levels; there are {there}", code=2)


def opened(name: str, progress: console.Progress) -> Deployment:
    """The stack ``name`` of the backend in use. Raises Failed."""
    engine = pulumi.obtain(progress.say)
    workspace = environment.workspace(engine, ROOT, environment.programs(engine))
    try:
        stack = automation.Stack.select(name, workspace)
    except automation.CommandError as error:
        raise Failed(
            f"stack {name!r} cannot be opened; `pulumi login` chooses the backend, `pulumi stack init {name}` makes it "
            f"there:\n{error}"
        ) from error
    return Deployment(stack)


@contextmanager
def explained() -> Iterator[None]:
    """Turn what can go wrong into one clear line and an exit code: 1 failed, 2 refused."""
    try:
        yield
    except guard.Refused as error:
        console.fail(str(error), code=2)
    except (CannotObtain, Failed) as error:
        console.fail(str(error))
    except KeyboardInterrupt:
        console.fail("interrupted", code=130)
