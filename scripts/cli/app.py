"""The command tree of `eventctl`."""

from __future__ import annotations

import typer

from scripts.cli import doctor

app = typer.Typer(name="eventctl", no_args_is_help=True, help=__doc__, pretty_exceptions_enable=False)


@app.callback()
def eventctl() -> None:
    """Run `eventctl COMMAND --help` for what a command does."""


app.command("doctor")(doctor.doctor)
