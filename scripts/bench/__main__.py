"""`make bench`: ratios, each to a floor that the same run measured. It judges nothing: no threshold, no failure."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from scripts.bench import holds, onsale, orders, preview, report
from scripts.bench.booking import Refused
from scripts.bench.pgbench import Unreadable
from scripts.cli import console
from scripts.deployment import Failed
from scripts.local.processes import NotReady
from scripts.local.servers.binaries import MissingProgram
from scripts.toolchain.cache import CannotObtain

Measure = Callable[..., list[report.Comparison]]
BENCHES: dict[str, Measure] = {bench.NAME: bench.measure for bench in (holds, onsale, orders, preview)}


def bench(
    only: Annotated[list[str] | None, typer.Option(help=f"Run this one alone: {', '.join(BENCHES)}.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="One short repeat of each: shows that it works.")] = False,
    plots: Annotated[Path | None, typer.Option(help="Draw the cost of orders there, as SVG.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all samples as JSON.")] = False,
) -> None:
    """Measure, as ratios to a floor measured in the same run; repeats are interleaved, medians are shown."""
    chosen = only or list(BENCHES)
    measures: dict[str, Measure] = {**BENCHES, orders.NAME: partial(orders.measure, plots=plots)}
    if unknown := sorted(set(chosen) - BENCHES.keys()):
        console.fail(f"no benchmark is called {unknown[0]!r}; there are {', '.join(BENCHES)}", code=2)
    # A polite kill cleans up as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with console.progress() as progress:
            found = [comparison for name in chosen for comparison in measures[name](progress.say, quick=quick)]
    except (CannotObtain, Failed, MissingProgram, NotReady, Unreadable, Refused) as error:
        console.fail(str(error))
    except KeyboardInterrupt:
        console.fail("interrupted; nothing is left running", code=130)
    python = report.interpreter()
    if as_json:
        console.as_json({"python": python, "comparisons": [comparison.as_dict() for comparison in found]})
        return
    _print(found, python)


def _print(found: Sequence[report.Comparison], python: dict[str, object]) -> None:
    built = "an optimised build" if python["optimised"] else "NOT an optimised build: compare with care"
    console.out.print(f"Python {python['version']} at {python['executable']}, {built}; {python['cores']} cores\n")
    console.table(*report.table(found))
    console.out.print()
    for series in dict.fromkeys(side for comparison in found for side in (comparison.measured, comparison.floor)):
        console.out.print(f"{series.name}: {series.what}", soft_wrap=True)


if __name__ == "__main__":
    typer.run(bench)
