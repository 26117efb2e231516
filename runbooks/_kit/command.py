"""A runbook as a command: its options, those that all runbooks share, and what is shown.

A dry run unless ``--apply``. Exit 0 done, 1 failed, 2 refused, 4 partial.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import boto3
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Drawn

from runbooks._kit import evidence
from runbooks._kit.engine import Engine, Report, Terms
from runbooks._kit.model import Exit, Refused, Runbook
from runbooks._kit.target import Target

# A log has no width: tables in it keep their lines whole.
_WIDE = 160


def _shared(
    *,
    environment: Annotated[str, typer.Option(envvar="ENVIRONMENT", help="The environment, e.g. prod.")],
    region: Annotated[
        str | None,
        typer.Option(envvar=["AWS_REGION", "AWS_DEFAULT_REGION"], help="Its Region (default: the profile's)."),
    ] = None,
    account: Annotated[str | None, typer.Option(help="Refuse unless the credentials are of this account.")] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Change something; without it, it is only told.")] = False,
    confirm: Annotated[str | None, typer.Option(help="With --apply: the id that the dry run showed.")] = None,
    ticket: Annotated[str | None, typer.Option(help="With --apply: the ticket or alarm; part of the audit.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Only look whether all is well.")] = False,
    rollback: Annotated[str | None, typer.Option(help="Take back the run with this id; --apply does it.")] = None,
    max_actions: Annotated[
        int | None, typer.Option(min=1, help="Plan so many at most (default: the runbook's).")
    ] = None,
    deadline: Annotated[float | None, typer.Option(help="Minutes after which no further action begins.")] = None,
    evidence_folder: Annotated[
        Path | None, typer.Option("--evidence", file_okay=False, help="Where plans, audits and snapshots are kept.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """The options that every runbook has."""


def command(runbook: type[Runbook[Any]]) -> typer.Typer:
    """The command of ``runbook``; the fields of the class are options of it."""
    shared, hints = inspect.signature(_shared, eval_str=True).parameters, get_type_hints(runbook, include_extras=True)
    own = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=hints[field.name],
            default=_default(field),
        )
        for field in dataclasses.fields(runbook)  # type: ignore[arg-type]
    ]

    def main(**given: Any) -> None:
        common = {name: given.pop(name) for name in shared}
        _run(runbook(**given), **common)

    main.__signature__ = inspect.Signature([*own, *shared.values()])  # type: ignore[attr-defined]
    main.__annotations__ = {each.name: each.annotation for each in (*own, *shared.values())}
    main.__doc__ = (inspect.getdoc(runbook) or "").split("\n\n")[0]
    app = typer.Typer(name=runbook.name(), pretty_exceptions_enable=False, add_completion=False)
    app.command(name=runbook.name())(main)
    return app


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default


def _run(
    runbook: Runbook[Any],
    *,
    environment: str,
    region: str | None,
    account: str | None,
    apply: bool,
    confirm: str | None,
    ticket: str | None,
    verify: bool,
    rollback: str | None,
    max_actions: int | None,
    deadline: float | None,
    evidence_folder: Path | None,
    as_json: bool,
) -> None:
    report = Report(runbook.name(), "", environment, "", "", "")
    masked: Callable[[str], str] = str
    try:
        _sensible(apply=apply, confirm=confirm, ticket=ticket, verify=verify, rollback=rollback)
        target = Target.open(boto3.Session(region_name=region), environment, account=account)
        masked = target.masked
        engine = Engine(runbook, target, evidence_folder or evidence.default_root(), cap=max_actions)
        with _interruptible() if apply else nullcontext(lambda: False) as stopping:
            terms = Terms(ticket=ticket or "", minutes=deadline or runbook.minutes, stopping=stopping)
            if verify:
                report = engine.verify()
            elif rollback:
                report = engine.rollback(rollback, terms if apply else None)
            elif apply:
                report = engine.apply(confirm or "", terms)
            else:
                report = engine.dry_run()
    except Refused as error:
        report.ended(Exit.REFUSED, masked(str(error)))
    except Exception as error:  # of AWS, a database, a broker: one line for a person, and an exit code for a script
        report.ended(Exit.FAILED, masked(f"{type(error).__name__}: {error}"))
    if as_json:
        print(json.dumps(dataclasses.asdict(report), indent=2, default=str))  # noqa: T201
    else:
        _show(report)
    raise typer.Exit(report.exit)


def _sensible(*, apply: bool, confirm: str | None, ticket: str | None, verify: bool, rollback: str | None) -> None:
    """Raises Refused for options that do not go together."""
    if apply and not confirm and not rollback:
        raise Refused("--apply needs --confirm ID: the id of what you read in the dry run")
    if apply and not ticket:
        raise Refused("--apply needs --ticket: the ticket, or the alarm that you act on; the audit names it")
    if verify and (apply or rollback):
        raise Refused("--verify changes nothing: give it without --apply and --rollback")
    if confirm and (not apply or rollback):
        raise Refused("--confirm belongs to --apply, and a rollback is named by --rollback ID alone")


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """SIGINT and SIGTERM let the action under way end; gives what tells whether one came. A second one is obeyed."""
    asked = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, _frame: object) -> None:
        asked.set()
        signal.signal(number, before[signal.Signals(number)])
        Console(stderr=True).print("stopping after this action; once more ends at once", highlight=False)

    if threading.current_thread() is threading.main_thread():
        for number in before:
            signal.signal(number, ask)
    try:
        yield asked.is_set
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)


def _show(report: Report) -> None:
    out = Console(width=None if sys.stdout.isatty() else _WIDE)
    if report.who:
        out.print(
            f"[bold]{report.runbook}[/] {report.mode}: {report.environment}, account {report.account}, "
            f"{report.region}, as {report.who}",
            highlight=False,
        )
    for found in report.findings:
        _draw(out, found["title"], found["rows"])
    _draw(
        out,
        "actions",
        [
            {"what": each["what"], "outcome": each["outcome"], "can be undone": each["no_undo"] or "yes"}
            for each in report.actions
        ],
    )
    for what in report.appeared:
        out.print(f"not part of what was confirmed: {what}", style="yellow", highlight=False, markup=False)
    _draw(
        out,
        "verified",
        [
            {"check": each["name"], "ok": "yes" if each["ok"] else "NO", "detail": each["detail"]}
            for each in report.verified
        ],
    )
    style = {Exit.DONE: "green", Exit.PARTIAL: "yellow"}.get(report.exit, "bold red")
    where = out if report.exit is Exit.DONE else Console(stderr=True, width=out.width)
    where.print(
        f"{report.exit.name.lower()}: {report.outcome}", style=style, highlight=False, markup=False, soft_wrap=True
    )
    if report.evidence:
        out.print(f"evidence: {report.evidence}", highlight=False, markup=False, soft_wrap=True)
    if following := _next(report):
        out.print(following, style="bold", highlight=False, markup=False, soft_wrap=True)


def _next(report: Report) -> str:
    """What to type next, where that is plain: what was typed, with what has to be added."""
    typed = " ".join(shlex.quote(word) for word in sys.argv[1:])
    program = Path(sys.argv[0]).name
    start = f"python -m runbooks.{report.runbook}" if program == f"{report.runbook}.py" else program
    if report.mode == "dry run" and report.actions:
        return f"to do it: {start} {typed} --apply --ticket TICKET --confirm {report.id}"
    if report.exit is Exit.PARTIAL and any(each["outcome"] == "left" for each in report.actions):
        return f"to go on: {start} {typed}"
    return ""


def _draw(out: Console, title: str, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    drawn = Drawn(*rows[0], title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for row in rows:
        drawn.add_row(*("" if value is None else escape(str(value)) for value in row.values()))
    out.print(drawn)
