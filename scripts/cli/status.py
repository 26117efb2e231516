"""`eventctl status`: one screen for the person on call."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated

import typer
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from runbooks._kit import Refused
from scripts.cli import console
from scripts.cli.here import Environment, Local, looked_at
from scripts.oncall.lights import Light, State, ordered, worst
from scripts.oncall.prometheus import Prometheus
from scripts.oncall.sights import Screen

_SIGNS = {
    State.GOOD: "[green]●[/]",
    State.WARN: "[yellow]▲[/]",
    State.BAD: "[bold red]■[/]",
    State.UNKNOWN: "[dim]?[/]",
}


def status(
    environment: Environment = "",
    region: Annotated[
        str | None,
        typer.Option(envvar=["AWS_REGION", "AWS_DEFAULT_REGION"], help="Its Region (default: the profile's)."),
    ] = None,
    _local: Local = False,
    watch: Annotated[float, typer.Option(min=0, help="Look again every so many seconds, until Ctrl-C.")] = 0,
    everything: Annotated[bool, typer.Option("--all", help="Show what is good line by line, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a script to read.")] = False,
) -> None:
    """Show how an environment fares: what rings, what waits, what is ill, and the runbook for it.

    Only looks. Exit 0 when all is well, 1 when something is not or cannot be seen.
    """
    try:
        target = looked_at(environment, region)
    except Refused as error:
        console.fail(str(error), code=2)
    screen = Screen(target, Prometheus.found(target))
    if watch and not as_json:
        _watched(screen, watch, everything)
        return
    lights = screen.look()
    if as_json:
        console.as_json({"state": worst(lights), "lights": [asdict(light) for light in ordered(lights)]})
    else:
        console.out.print(drawn(lights, everything))
    raise typer.Exit(0 if worst(lights) is State.GOOD else 1)


def drawn(lights: list[Light], everything: bool) -> Table:
    """The screen; a part that is good is one line unless ``everything`` is asked for."""
    table = Table("", "part", "what", "how", "runbook", box=None, pad_edge=False, header_style="bold")
    rows = ordered(lights)
    for part in dict.fromkeys(light.part for light in rows):
        mine = [light for light in rows if light.part == part]
        good = [light for light in mine if light.state is State.GOOD]
        for light in mine if everything else [light for light in mine if light not in good]:
            table.add_row(_SIGNS[light.state], part, escape(light.name), escape(light.detail), light.runbook)
        if good and not everything:
            detail = good[0].detail if len(good) == 1 else f"{len(good)} are well"
            table.add_row(_SIGNS[State.GOOD], part, good[0].name if len(good) == 1 else "", escape(detail), "")
    return table


def _watched(screen: Screen, seconds: float, everything: bool) -> None:
    try:
        with Live(console=console.out, screen=console.out.is_terminal, auto_refresh=False) as live:
            while True:
                live.update(drawn(screen.look(), everything), refresh=True)
                time.sleep(seconds)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
