"""How `eventctl` talks: tables and progress for people, JSON for scripts, one clear line for an error."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table

# A log has no width: tables in it keep their lines whole.
_WIDE = 160
out = Console(width=None if sys.stdout.isatty() else _WIDE)
err = Console(stderr=True)

# Seconds between progress lines where there is no terminal to animate (CI logs).
_QUIET_INTERVAL = 15.0


def fail(message: str, code: int = 1) -> NoReturn:
    """Say what is wrong on standard error and end with ``code`` (1 failed, 2 refused)."""
    err.print(f"[bold red]error:[/] {message}", highlight=False, markup=True, soft_wrap=True)
    sys.exit(code)


def as_json(value: Any) -> None:
    """Print ``value`` for a script to read."""
    print(json.dumps(value, indent=2, default=str))


def counts(changes: Mapping[str, int]) -> str:
    """Operations by kind, as one reads them: ``3 to create, 1 to update``."""
    return ", ".join(f"{count} to {kind}" for kind, count in sorted(changes.items()))


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under ``columns``."""
    drawn = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        drawn.add_row(*row)
    out.print(drawn)


class Progress:
    """Says what is going on now: one live line on a terminal, a line every 15 s elsewhere."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._last_printed = 0.0
        self._last_subject = ""
        self._status = err.status("") if err.is_terminal else None

    def say(self, message: str) -> None:
        """Report a step; cheap enough to call for every package of a build."""
        elapsed = time.monotonic() - self._started
        if self._status is not None:
            self._status.update(f"{message} [dim]{elapsed:.0f} s[/]")
            return
        subject = message.split(",")[0]
        if subject != self._last_subject or elapsed - self._last_printed > _QUIET_INTERVAL:
            self._last_printed, self._last_subject = elapsed, subject
            err.print(f"[{elapsed:4.0f} s] {message}", markup=False, highlight=False, soft_wrap=True)

    def done(self, message: str) -> None:
        """Report a finished step: it stays on the screen."""
        err.print(f"[green]✓[/] {message}", highlight=False, soft_wrap=True)


@contextmanager
def progress() -> Iterator[Progress]:
    """A `Progress` for the length of a block."""
    shown = Progress()
    if shown._status is None:
        yield shown
        return
    with shown._status:
        yield shown
