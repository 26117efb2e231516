"""The command tree of `eventctl`."""

from __future__ import annotations

import typer

from scripts.cli import (
    bootstrap,
    canary,
    doctor,
    environment,
    gameday,
    local,
    policy,
    preview,
    runbook,
    simulate,
    status,
    update,
)

app = typer.Typer(
    name="eventctl", no_args_is_help=True, help="Run and operate the event platform.", pretty_exceptions_enable=False
)


@app.callback()
def eventctl() -> None:
    """Run `eventctl COMMAND --help` for what a command does."""


app.add_typer(local.app, name="local")
app.add_typer(canary.app, name="canary")
app.add_typer(policy.app, name="policy")
app.add_typer(runbook.app, name="runbook")
app.add_typer(preview.app, name="preview")
app.command("demo")(local.demo)
app.command("simulate")(simulate.simulate)
app.command("bootstrap")(bootstrap.bootstrap)
app.command("up")(update.up)
app.command("drift")(update.drift)
app.command("cost")(environment.cost)
app.command("graph")(environment.graph)
app.add_typer(gameday.app, name="gameday")
app.command("status")(status.status)
app.command("doctor")(doctor.doctor)
