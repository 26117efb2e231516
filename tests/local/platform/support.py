"""`eventctl` as a person runs it, and what is left on the machine afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from scripts.local.platform.layout import Layout, Record

EVENTCTL = Path(sys.executable).with_name("eventctl")
# Seconds: the platform is up in about 200 on two idle cores.
PATIENCE = 420


def own_environment() -> dict[str, str]:
    """The environment of a newcomer: without the clouds and authorities that other tests of this process have set."""
    return {key: value for key, value in os.environ.items() if key != "SSL_CERT_FILE" and not key.startswith("AWS_")}


def eventctl(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end, with more variables in its ``environment``."""
    return subprocess.run(
        [EVENTCTL, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**own_environment(), **environment},
    )


@contextmanager
def running(folder: Path) -> Iterator[tuple[Layout, Record]]:
    """A platform in ``folder``, gone at the end."""
    try:
        done = eventctl("local", "up", "--state", str(folder))
        assert done.returncode == 0, done.stderr
        layout = Layout(folder)
        record = layout.record()
        assert record is not None
        yield layout, record
    finally:
        eventctl("local", "down", "--state", str(folder))


def mentioning(text: str) -> list[str]:
    """Command lines of other processes that mention ``text``."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        if text in line and process.info["pid"] != os.getpid() and "pytest" not in line:
            found.append(line)
    return found
