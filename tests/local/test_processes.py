"""A part is ready or says why not, and ends with everything that it started; nothing else is ever touched."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from scripts.local import processes
from scripts.local.processes import NotReady, Running, Server

# It starts a child, says which, and does not end when it is asked to.
DEAF = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(child.pid, flush=True)
time.sleep(600)
"""
Start = Callable[[str], Running]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a program in Python; what is left of it is ended after the test."""
    started = []

    def begin(program: str) -> Running:
        server = Server(name="part", command=[sys.executable, "-c", program], log=tmp_path / "part.log", grace=0.5)
        started.append(processes.start(server, with_parent=True))
        return started[-1]

    yield begin
    for part in started:
        processes.end(part)


def child_of(part: Running) -> psutil.Process:
    """The child of `DEAF`, once it is there."""
    log = Path(part.log)
    assert processes.eventually(lambda: log.read_text().endswith("\n"), timeout=10)
    return psutil.Process(int(log.read_text()))


@pytest.mark.parametrize("ended", [processes.stop, processes.end])
def test_one_that_does_not_listen_is_killed_with_what_it_started(
    start: Start, ended: Callable[[Running], None]
) -> None:
    part = start(DEAF)
    child = child_of(part)
    ended(part)
    assert part.process() is None
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_pid_that_belongs_to_another_program_by_now_is_not_touched(start: Start) -> None:
    part = start(DEAF)
    child_of(part)
    processes.end(replace(part, started=part.started - 60))
    assert part.process() is not None


def test_one_that_ends_while_it_starts_is_told_with_the_end_of_its_log(start: Start) -> None:
    part = start("raise SystemExit('the port is taken')")
    with pytest.raises(NotReady, match=r"part ended while starting; .*\n.*the port is taken"):
        processes.await_ready(part, lambda: False, timeout=10)


def test_one_that_is_never_ready_is_told_with_the_end_of_its_log(start: Start) -> None:
    part = start(DEAF)
    child = child_of(part)
    with pytest.raises(NotReady, match=rf"part was not ready after 0 s; .*\n{child.pid}"):
        processes.await_ready(part, lambda: False, timeout=0.1)


def test_records_come_back_as_they_were_written(start: Start, tmp_path: Path) -> None:
    part = start(DEAF)
    part.save(tmp_path / "parts")
    assert Running.load(tmp_path / "parts") == {"part": part}
