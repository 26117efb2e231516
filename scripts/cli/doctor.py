"""`eventctl doctor`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from scripts.cli import console
from scripts.toolchain import doctor as toolchain
from scripts.toolchain.cache import CannotObtain


def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Obtain what is missing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print findings as JSON.")] = False,
) -> None:
    """Say what this machine has, what is missing, and the command that mends it. Exit 1 when something is missing."""
    if fix:
        try:
            with console.progress() as progress:
                toolchain.mend(progress.say)
        except CannotObtain as error:
            console.fail(str(error))
    findings = toolchain.examine()
    if as_json:
        console.as_json([{**asdict(finding), "ok": finding.ok} for finding in findings])
    elif not fix or not all(finding.ok for finding in findings):
        rows = [
            [finding.name, "[green]found[/]" if finding.ok else "[red]missing[/]", finding.found or finding.remedy]
            for finding in findings
        ]
        console.table(["what", "state", "where, or how to get it"], rows)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)
