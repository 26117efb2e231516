"""`eventctl graph` and `eventctl cost`: what an environment is made of, and what it costs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from scripts import graph as picture
from scripts.cli import console
from scripts.cli.update import AsJson, explained, opened
from scripts.cost import prices
from scripts.cost.estimate import estimate, planned
from scripts.cost.prices import NoPrice

StackName = Annotated[str, typer.Argument(help="A stack of the backend in use: dev or prod.")]
StateFile = Annotated[
    Path | None, typer.Option("--state", help="Read this `pulumi stack export` instead of the backend.", dir_okay=False)
]


def graph(
    stack: StackName,
    state: StateFile = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the SVG here; else print it.")] = None,
) -> None:
    """Draw an environment as SVG, from the resources that it has."""
    drawn = picture.svg(picture.dot(deployment(stack, state), stack))
    if output is None:
        print(drawn)
        return
    output.write_text(drawn)
    console.err.print(f"wrote {output}", highlight=False)


def cost(
    stack: StackName,
    state: StateFile = None,
    plan: Annotated[bool, typer.Option("--plan", help="Plan the stack, and show what it would cost instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """Estimate what an environment costs a month, by component; with --plan, and how that would change."""
    if plan and state is not None:
        console.fail("--plan needs the running stack, and --state is a file: give one of them", code=2)
    running = deployment(stack, state)
    try:
        now = estimate(running) if running.get("resources") else None
        after = now
        if plan:
            with explained(), console.progress() as progress:
                after = estimate(planned(running, opened(stack, progress).plan(progress.say).steps))
        if after is None:
            console.fail(f"{stack} has no resources yet; --plan tells what it would cost")
    except NoPrice as error:
        console.fail(str(error))
    before = now.components() if now and plan else {}
    if as_json:
        console.as_json({**after.as_dict(), **({"before": now.as_dict() if now else None} if plan else {})})
        return
    rows = [
        [name, f"{usd:,.0f}", *([f"{usd - before.get(name, 0):+,.0f}"] if plan else [])]
        for name, usd in after.components().items()
    ]
    rows += [[name, "0", f"{-usd:+,.0f}"] for name, usd in before.items() if name not in after.components()]
    total = [f"{after.total:,.0f}", *([f"{after.total - sum(before.values()):+,.0f}"] if plan else [])]
    console.table(["component", "USD a month", *(["change"] if plan else [])], [*rows, ["total", *total]])
    by_use = ", ".join(f"{count} {kind.rsplit(':', 1)[1]}" for kind, count in sorted(after.by_use.items()))
    console.out.print(
        f"\nList prices of {prices.READ} for N. Virginia times the Region's factor. By use, and not in it: {by_use}.",
        highlight=False,
    )


def deployment(stack: str, state: Path | None) -> Mapping[str, Any]:
    """The recorded state in the file ``state``, else that of ``stack`` in the backend; fails with the reason."""
    if state is not None:
        return _read(state)
    with explained(), console.progress() as progress:
        return opened(stack, progress).export()


def _read(state: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(state.read_text())
        deployment = found.get("deployment", found)
        deployment["resources"]
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        console.fail(f"--state {state}: no `pulumi stack export` is there: {error}", code=2)
    return deployment  # type: ignore[no-any-return]
