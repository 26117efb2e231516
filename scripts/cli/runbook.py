"""`eventctl runbook`: which runbooks there are, what they say, and running those that act.

`run` has a command for each script in runbooks/; it is imported when it is asked for, so that nobody else waits for it.
"""

from __future__ import annotations

import importlib
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.markdown import Markdown

from scripts import runbooks
from scripts.cli import console
from scripts.cli.here import use_local

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
app = typer.Typer(no_args_is_help=True, help="Runbooks: what every alarm leads to.")


def _named(incomplete: str) -> list[tuple[str, str]]:
    return [(each.name, each.meaning) for each in runbooks.all_of_them() if each.name.startswith(incomplete)]


Name = Annotated[str, typer.Argument(help="A runbook, as `eventctl runbook list` names it.", autocompletion=_named)]


@app.command("list")
def show_all(as_json: _Json = False) -> None:
    """List every runbook: the alarms that lead to it, how severe they are, what it means, whether it can act."""
    found = runbooks.all_of_them()
    if as_json:
        console.as_json([asdict(each) for each in found])
        return
    rows = [
        [each.name, each.severity, "yes" if each.acts else "", each.meaning, ", ".join(each.alarms)] for each in found
    ]
    console.table(["runbook", "severity", "acts", "when", "alarms"], rows)


@app.command()
def show(name: Name, as_json: _Json = False) -> None:
    """Show a runbook's document."""
    found = next((each for each in runbooks.all_of_them() if each.name == name), None)
    if found is None:
        known = ", ".join(each.name for each in runbooks.all_of_them())
        console.fail(f"there is no runbook {name!r}; runbooks are {known}", code=2)
    if as_json:
        console.as_json({**asdict(found), "sections": found.sections()})
    else:
        console.out.print(Markdown(found.document.read_text()))


class _Scripts(typer.core.TyperGroup):
    """A command for each runbook that acts."""

    def list_commands(self, ctx: Any) -> list[str]:
        return runbooks.acting()

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.list_commands(ctx):
            return None
        made = typer.main.get_command(importlib.import_module(f"runbooks.{cmd_name}").app)
        made.params.insert(0, _local())
        return made


run = typer.Typer(cls=_Scripts, no_args_is_help=True, help="Run a runbook: dry, until --apply confirms what it showed.")
app.add_typer(run, name="run")


@run.callback()
def _run() -> None:
    """Run a runbook: a dry run, unless --apply and --confirm say that what it showed is to be done."""


def _local() -> Any:
    """The option that `eventctl` adds to each: runbooks themselves know of no platform on this machine."""

    def bears(
        local: Annotated[
            bool,
            # Eager: it comes before the options that its variables fill.
            typer.Option(
                "--local",
                is_eager=True,
                expose_value=False,
                callback=use_local,
                help="Work on the platform of this machine.",
            ),
        ] = False,
    ) -> None:
        """Has the option."""

    bearer = typer.Typer(add_completion=False)
    bearer.command()(bears)
    return next(each for each in typer.main.get_command(bearer).params if each.name == "local")
