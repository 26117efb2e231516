"""`eventctl gameday`: practise on the platform of this machine."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from scripts.cli import console
from scripts.cli.here import use_local
from scripts.deployment import ROOT
from scripts.local.platform.layout import Layout
from scripts.oncall import report
from scripts.oncall.faults import NotMade
from scripts.oncall.gamedays import GAMEDAYS, Missed, play

app = typer.Typer(no_args_is_help=True, help="Game days: break the local platform, hear the alarm, run its runbook.")
_Json = Annotated[bool, typer.Option("--json", help="Print JSON for a script to read.")]


def _named(incomplete: str) -> list[tuple[str, str]]:
    return [(day.name, day.about) for day in GAMEDAYS if day.name.startswith(incomplete)]


@app.command("list")
def show_all(as_json: _Json = False) -> None:
    """List the faults that can be made, the alarm that rings for each, and the runbook that mends it."""
    if as_json:
        console.as_json([{**asdict(day), "about": day.about} for day in GAMEDAYS])
    else:
        console.table(
            ["fault", "what goes wrong", "alarm", "runbook"],
            [[day.name, day.about, day.alarm, day.runbook] for day in GAMEDAYS],
        )


@app.command()
def run(
    fault: Annotated[
        list[str], typer.Argument(help="Faults, as `eventctl gameday list` names them.", autocompletion=_named)
    ],
    record: Annotated[bool, typer.Option("--record", help="Write what was measured into docs/gamedays.md.")] = False,
    as_json: _Json = False,
) -> None:
    """Make each fault in turn on the local platform, wait for its alarm, mend it by its runbook, and take the time.

    Whatever happens, the fault is removed in the end. Exit 1 when an alarm does not ring, a runbook does not mend, or
    the alarm does not clear.
    """
    known = {day.name: day for day in GAMEDAYS}
    if unknown := sorted(set(fault) - set(known)):
        console.fail(f"there is no fault {', '.join(unknown)}; faults are {', '.join(known)}", code=2)
    if record and set(fault) != set(known):
        console.fail(f"--record writes the whole document: name all of {' '.join(known)}", code=2)
    use_local(True)
    results = []
    with console.progress() as progress:
        for name in fault:
            try:
                results.append(play(known[name], Layout.default(), progress.say))
            except (Missed, NotMade) as error:
                console.fail(f"{name}: {error}")
            progress.done(f"{name}: mended {results[-1].to_alarm + results[-1].to_mended:.0f} s after it began")
    if record:
        report.write(results, ROOT / "docs" / "gamedays.md")
    if as_json:
        console.as_json([asdict(result) for result in results])
    else:
        console.out.print(report.table(results), markup=False, highlight=False, soft_wrap=True)
