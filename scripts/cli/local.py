"""`eventctl local`: the platform on this machine."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from scripts.cli import console
from scripts.deployment import Failed
from scripts.local import demo as purchase
from scripts.local import rotation
from scripts.local.platform import lifecycle, status
from scripts.local.platform.layout import Busy, Layout
from scripts.local.processes import NotReady
from scripts.local.servers.binaries import MissingProgram
from scripts.purchase import CARD, NotBought
from scripts.toolchain import kubernetes
from scripts.toolchain.cache import CannotObtain

app = typer.Typer(no_args_is_help=True, help="The whole platform on this machine.")
State = Annotated[
    Path | None, typer.Option("--state", help="Folder of the platform (default: .local in the checkout).")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a script to read.")]


@app.command()
def up(
    state: State = None,
    policy_pack: Annotated[
        list[Path] | None, typer.Option(help="Judge by this policy pack too; may be repeated.")
    ] = None,
) -> None:
    """Start the platform, or bring a running one up to date with the checkout.

    Policies are judged before anything is created. Ctrl-C during a first start removes what was started.
    """
    layout = _layout(state)
    with _explained(), console.progress() as progress:
        lifecycle.up(
            layout, progress.say, progress.done, extra_packs=tuple(pack.resolve() for pack in policy_pack or ())
        )
    _table(layout)
    console.out.print("\nBuy a ticket: [bold]eventctl demo[/]   Stop everything: [bold]make down[/]")


@app.command()
def down(state: State = None) -> None:
    """End every process and remove every file of the platform."""
    layout = _layout(state)
    existed = layout.folder.exists()
    with _explained(), console.progress() as progress:
        lifecycle.down(layout, progress.say)
    console.err.print("the platform is gone" if existed else "there is no platform; nothing to do")


@app.command("status")
def show_status(state: State = None, as_json: AsJson = False) -> None:
    """List every part: name, kind, URL, state. Exit 1 when one is not well, or when there is no platform."""
    layout = _layout(state)
    found = status.rows(layout)
    if as_json:
        console.as_json([asdict(row) for row in found])
    elif found:
        _table(layout)
    else:
        console.err.print("there is no platform; start it with `make up`")
    if not found or not all(row.ok for row in found):
        raise typer.Exit(1)


@app.command()
def logs(
    part: Annotated[str, typer.Argument(help="A part or a Deployment, as `eventctl local status` names it.")],
    state: State = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many of the last lines.")] = 50,
) -> None:
    """Print the log of a part, or of a Deployment's pods."""
    layout = _layout(state)
    running = layout.running()
    tail = ["--follow"] if follow else []
    if part in running:
        command = ["tail", f"--lines={lines}", *tail, running[part].log]
    elif any(row.name == part for row in status.rows(layout)):
        programs, record = kubernetes.find(), layout.record()
        if programs is None or record is None:
            console.fail("kubectl is not in the tool cache: run `eventctl doctor --fix`")
        command = [
            *(str(programs / "kubectl"), "--kubeconfig", record.kubeconfig),
            *("--namespace", status.NAMESPACE, "logs", f"deployment/{part}", f"--tail={lines}", *tail),
        ]
    else:
        known = ", ".join(row.name for row in status.rows(layout)) or "none, start the platform with `make up`"
        console.fail(f"no part is called {part!r}; parts are {known}", code=2)
    try:
        raise typer.Exit(subprocess.run(command, check=False).returncode)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


@app.command()
def rotate(
    secret: Annotated[str, typer.Argument(help="Name of a secret without its environment, e.g. booking-database.")],
    state: State = None,
) -> None:
    """Give a login its next password, as Secrets Manager does on AWS; pods follow within two minutes."""
    layout = _layout(state)
    with _explained(), console.progress() as progress:
        lifecycle.rotate(layout, secret, progress.say)
    console.err.print(f"{secret} has its next value; external-secrets brings it to the pods and restarts them")


def demo(
    state: State = None,
    as_json: AsJson = False,
    payment_method: Annotated[
        str, typer.Option(help="A test card of Stripe's, e.g. pm_card_visa_chargeDeclined.")
    ] = CARD,
) -> None:
    """Buy a ticket on the running platform and print the saga's trail."""
    layout = _layout(state)
    record = layout.record()
    if record is None:
        console.fail("there is no platform to buy from; start it with `make up`", code=2)
    with _explained():
        bought = purchase.buy(
            record,
            lambda message: None if as_json else console.err.print(message, soft_wrap=True),
            payment_method=payment_method,
        )
    if as_json:
        console.as_json(asdict(bought))
        return
    console.table(
        ["step", "attempt", "outcome"],
        [[step["step"], str(step["attempt"]), step["outcome"]] for step in bought.saga["steps"]],
    )
    console.out.print(f"order {bought.order['status']}")
    if bought.ticket:
        console.out.print(f"ticket {bought.ticket['id']}\ncode {bought.ticket['code']}", soft_wrap=True)
    for sent in bought.notifications:
        console.out.print(f"notified {sent['to']['subscriberId']} by {sent['workflow']}")


def _layout(state: Path | None) -> Layout:
    return Layout(state.resolve()) if state else Layout.default()


def _table(layout: Layout) -> None:
    rows = [
        [row.name, row.kind, row.url, f"[green]{row.state}[/]" if row.ok else f"[red]{row.state}[/]"]
        for row in status.rows(layout)
    ]
    console.table(["part", "what it is", "where", "state"], rows)


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what can go wrong into one message, and Ctrl-C into an orderly end."""
    try:
        yield
    except (
        Busy,
        CannotObtain,
        Failed,
        MissingProgram,
        NotReady,
        lifecycle.NoPlatform,
        NotBought,
        rotation.NotRotated,
        status.NotDeployed,
    ) as error:
        console.fail(str(error))
    except KeyboardInterrupt:
        console.fail("interrupted", code=130)
