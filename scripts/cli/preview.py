"""`eventctl preview`: guests of a shared environment, one for each pull request that asks for it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import httpx
import typer

from scripts.cli import console
from scripts.cli.here import Local
from scripts.deployment import Failed
from scripts.github.pull_requests import NoAnswer, PullRequests
from scripts.local.platform import lifecycle
from scripts.local.platform.layout import Layout
from scripts.local.platform.status import NotDeployed
from scripts.previews import life, reaper
from scripts.previews.aws import Aws
from scripts.previews.here import Here
from scripts.previews.home import Home, NoHost, NotTakenBack
from scripts.previews.records import Full, Record, Taken
from scripts.purchase import NotBought
from scripts.toolchain import pulumi
from scripts.toolchain.cache import CannotObtain
from stacks.settings import SERVICES

app = typer.Typer(no_args_is_help=True, help="Isolated copies of the services, as guests of a shared environment.")
_HOURS = {"h": 1, "d": 24}
_PARTIAL = 4
Name = Annotated[str, typer.Argument(help="The preview, e.g. pr-12.")]
Host = Annotated[str, typer.Option(help="The environment whose guest it is; never production.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a script to read.")]
Apply = Annotated[bool, typer.Option("--apply", help="Do it; without it is only said what would be done.")]


def _hours(text: str) -> float:
    found = re.fullmatch(r"([1-9][0-9]{0,2})([hd])", text)
    if not found:
        raise typer.BadParameter(f"{text!r} is no time to live; write hours or days, like 8h or 3d")
    return float(found[1]) * _HOURS[found[2]]


@app.command()
def up(
    name: Annotated[str, typer.Argument(help="What to call it, e.g. new-seat-map; with --pr it is called pr-N.")] = "",
    pull_request: Annotated[int | None, typer.Option("--pr", min=1, help="The pull request that it is of.")] = None,
    host: Host = "dev",
    ttl: Annotated[str, typer.Option(help="How long it stays after its last use, e.g. 8h or 3d.")] = "3d",
    keep: Annotated[bool, typer.Option("--keep", help="The reaper leaves it alone.")] = False,
    digests: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="What `eventctl image push --json` printed, or JSON: service → digest (default: the environment's).",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write Markdown here: what is said on a pull request.")
    ] = None,
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """Make a preview or bring it up to date, put something on sale in it, and buy a ticket from it.

    Exit 0 up, 1 failed, 2 refused.
    """
    if bool(name) == (pull_request is not None):
        console.fail("what shall it be called? Give a name, or --pr with the number of the pull request", code=2)
    wanted = life.Wanted(
        name=name or f"pr-{pull_request}",
        hours=_hours(ttl),
        pull_request=pull_request,
        kept=keep,
        images=_digests(digests) if digests else None,
    )
    with _home(host, local) as (home, progress):
        made = life.up(home, wanted, progress.say)
    told = [
        ["address", made.url],
        ["booking's API", made.api],
        ["stays until", "further notice" if keep else made.expires],
        ["costs", f"{made.monthly:,.2f} USD a month, besides what it uses"],
        ["logs", made.logs],
        ["tried out", f"order {made.order}, ticket {made.ticket}"],
    ]
    if output:
        rows = "".join(f"| {what} | {value} |\n" for what, value in told)
        output.write_text(f"### Preview `{made.name}`\n\n| | |\n| --- | --- |\n{rows}")
    if as_json:
        console.as_json(asdict(made))
    else:
        console.table(["preview", made.name], told)


@app.command("list")
def show(host: Host = "dev", local: Local = False, as_json: AsJson = False) -> None:
    """Show every preview of an environment: who has it, until when, and how it is."""
    with _home(host, local) as (home, _):
        records = home.records.all()
    if as_json:
        console.as_json([_row(record) for record in records])
        return
    rows = [[str(value) for value in _row(record).values()] for record in records]
    console.table(list(_row(records[0])) if records else ["no previews"], rows)


@app.command()
def extend(
    name: Name,
    host: Host = "dev",
    ttl: Annotated[str, typer.Option(help="From now on so long (default: as before), e.g. 8h or 3d.")] = "",
    keep: Annotated[bool | None, typer.Option("--keep/--no-keep", help="Whether the reaper leaves it alone.")] = None,
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """Let a preview's time count from now."""
    hours = _hours(ttl) if ttl else None
    with _home(host, local) as (home, _):
        record = life.extend(home, name, hours=hours, kept=keep)
    if as_json:
        console.as_json(_row(record))
    else:
        console.out.print(f"{name} stays until {_row(record)['until']}")


@app.command()
def down(name: Name, host: Host = "dev", apply: Apply = False, local: Local = False, as_json: AsJson = False) -> None:
    """Say what of a preview would be deleted, and with --apply delete it, in order.

    Safe to repeat: what fails stays known and is tried again. Exit 0 done, 1 failed, 2 refused.
    """
    with _home(host, local) as (home, progress):
        urns = life.planned(home, name, progress.say)
        if apply:
            life.down(home, name, progress.say)
    if as_json:
        console.as_json({"preview": name, "resources": urns, "applied": apply})
    elif apply:
        console.out.print(f"{name} is gone: {len(urns)} resources, and what the stores kept for it")
    else:
        console.out.print(f"{name}: {len(urns)} resources would be deleted; nothing was changed, --apply makes it so")


@app.command()
def reap(
    host: Host = "dev",
    still_open: Annotated[
        str | None, typer.Option("--open", help="Open pull requests, e.g. 12,13 (default: GitHub, by GITHUB_TOKEN).")
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="How many may be up at once.")] = 10,
    apply: Apply = False,
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """Take down the previews whose time is over or whose pull request is closed, and tell what belongs to none.

    Exit 0 done, 1 failed, 2 refused, 4 some could not be taken down.
    """
    with _home(host, local) as (home, progress):
        requests = _open_requests(still_open)
        if requests is None and not as_json:
            console.err.print("which pull requests are open is not known: those of closed ones stay until their time")
        actions, failed = reaper.reap(home, requests, most=most, apply=apply, say=progress.say)
    if as_json:
        console.as_json({"actions": [asdict(action) for action in actions], "applied": apply, "failed": failed})
    else:
        rows = [[action.name, action.kind, failed.get(action.name, action.why)] for action in actions]
        console.table(["preview", "done" if apply else "would be done", "why"], rows)
    if failed:
        raise typer.Exit(_PARTIAL)


def _open_requests(given: str | None) -> set[int] | None:
    if given is not None:
        if not re.fullmatch(r"(\d+(,\d+)*)?", given):
            console.fail(f"--open {given}: write numbers with commas between, like 12,13", code=2)
        return {int(number) for number in given.split(",") if number}
    told = os.environ.get("GITHUB_TOKEN") and os.environ.get("GITHUB_REPOSITORY")
    return PullRequests.of_this_run().open() if told else None


def _digests(file: Path) -> dict[str, str]:
    try:
        found = json.loads(file.read_text())
        return {service: str(found[service]).rpartition("@")[2] for service in SERVICES}
    except (ValueError, KeyError, TypeError) as error:
        console.fail(
            f"--digests {file}: a JSON object with a digest for each of {', '.join(SERVICES)}: {error}", code=2
        )


def _row(record: Record) -> dict[str, Any]:
    return {
        "preview": record.name,
        "state": record.state.value,
        "pull request": record.pull_request or "",
        "who": record.who,
        "used": record.active.isoformat(timespec="minutes"),
        "until": "kept" if record.kept else record.expires.isoformat(timespec="minutes"),
        "reason": record.reason,
    }


@contextmanager
def _home(host: str, local: bool) -> Iterator[tuple[Home, console.Progress]]:
    """Where the previews live, and how to tell progress; what goes wrong ends in one clear line."""
    with _explained(), TemporaryDirectory(prefix="previews-") as folder, console.progress() as progress:
        engine = pulumi.obtain(progress.say)
        yield (Here(Layout.default(), engine) if local else Aws(host, Path(folder), engine)), progress


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (Full, Taken, NoHost, ValueError, lifecycle.NoPlatform, life.Unknown) as error:
        console.fail(str(error), code=2)
    except (
        CannotObtain,
        Failed,
        NotBought,
        NotDeployed,
        NotTakenBack,
        NoAnswer,
        httpx.HTTPError,
    ) as error:
        console.fail(str(error))
    except KeyboardInterrupt:
        console.fail("interrupted", code=130)
