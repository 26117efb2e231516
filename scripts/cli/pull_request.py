"""`eventctl pull-request`: what the pipelines do on a pull request, for people to do as well."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from scripts import guard
from scripts.cli import console
from scripts.cli.update import AsJson, StackName, explained, opened
from scripts.cost.estimate import estimate, planned
from scripts.cost.prices import NoPrice
from scripts.deployment import Failed, Plan
from scripts.github.commands import Command, understood
from scripts.github.pull_requests import NoAnswer, PullRequests
from scripts.github.report import Report

app = typer.Typer(no_args_is_help=True, help="Pull requests: what they change, and what is said on them.")


@app.command()
def report(
    stack: StackName,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write Markdown here; else print it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Plan a stack, and tell what changes, what policies say and what it costs. Exit 1 when it cannot be made."""
    with explained(), console.progress() as progress:
        deployment = opened(stack, progress)
        running = deployment.export()
        refused, plan = "", Plan([], [])
        try:
            plan = guard.plan(deployment, progress.say, allowed=())
        except (Failed, guard.Refused) as error:
            refused = str(error)
        try:
            before = estimate(running) if running.get("resources") else None
            after = None if refused else estimate(planned(running, plan.steps))
        except NoPrice as error:
            raise Failed(str(error)) from error
    made = Report(stack=stack, steps=plan.steps, advice=plan.advice, refused=refused, before=before, after=after)
    if as_json:
        console.as_json(
            {
                "stack": stack,
                "refused": refused,
                "advice": plan.advice,
                "steps": [asdict(step) for step in plan.steps],
                "usdAMonth": {"before": before and before.total, "after": after and after.total},
            }
        )
    elif output:
        output.write_text(made.markdown())
    else:
        print(made.markdown(), end="")
    if refused:
        raise typer.Exit(1)


@app.command()
def comment(
    number: Annotated[int, typer.Argument(help="The pull request.")],
    subject: Annotated[str, typer.Argument(help="What it is about: a later comment on it takes its place.")],
    file: Annotated[Path, typer.Argument(help="The Markdown to say.", exists=True, dir_okay=False)],
) -> None:
    """Say what is in a file on a pull request, in place of what was said on the subject before.

    By GITHUB_REPOSITORY and GITHUB_TOKEN, which a workflow has.
    """
    with _explained():
        console.err.print(PullRequests.of_this_run().say(number, subject, file.read_text()), highlight=False)


@app.command()
def command() -> None:
    """Print the job that the comment in the variable COMMENT asks for; nothing where it asks for none.

    A variable, because whoever writes a comment could otherwise write into the command line.
    """
    found = understood(os.environ.get("COMMENT", ""))
    if found:
        print(found.job)
    else:
        console.err.print(f"no command; there are {', '.join(Command)}", highlight=False)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except NoAnswer as error:
        console.fail(str(error))
