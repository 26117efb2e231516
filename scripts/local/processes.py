"""Start a server, know when it is ready, and end it with everything it started.

A part outlives the command that started it (`eventctl local up` returns, PostgreSQL stays), so what was started is
written down: one JSON record per part, holding pid and start time. Both are compared before a signal is sent, so a pid
that the system has given to another program is never touched.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import psutil

# Kept until this process ends: Python ignores a Ctrl-C that comes while it does away with a Popen.
_STARTED: list[subprocess.Popen[bytes]] = []


class NotReady(RuntimeError):
    """A part ended, or was not ready in time; the message ends with the last lines of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """How one part is started. ``grace`` is in seconds; ``stop`` is the signal that asks for an orderly end."""

    name: str
    command: Sequence[str]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    stop: int = signal.SIGTERM
    grace: float = 15.0


@dataclass(frozen=True, slots=True)
class Running:
    """A started part: the process it is, and how to end it."""

    name: str
    pid: int
    started: float
    log: str
    stop: int
    grace: float

    def process(self) -> psutil.Process | None:
        """The live process, or None when it has ended or the pid belongs to another program by now."""
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.started) < 1 and _alive(process):
                return process
        return None

    def save(self, folder: Path) -> None:
        """Write the record that `load` reads; atomic, so that a reader never sees half of it."""
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f".{self.name}.{os.getpid()}"
        draft.write_text(json.dumps(asdict(self)))
        draft.rename(folder / f"{self.name}.json")

    @classmethod
    def load(cls, folder: Path) -> dict[str, Running]:
        """Every part recorded in ``folder``, by name, alive or not."""
        return {p.stem: cls(**json.loads(p.read_text())) for p in sorted(folder.glob("*.json"))}


def start(server: Server, *, with_parent: bool = False) -> Running:
    """Start ``server`` in a session of its own, so that Ctrl-C at the terminal does not reach it half way.

    ``with_parent`` makes the kernel end it when the calling process dies, whatever kills that: for tests.
    """
    server.log.parent.mkdir(parents=True, exist_ok=True)
    guard = ["setpriv", "--pdeathsig", "TERM", "--"] if with_parent else []
    with server.log.open("ab") as log:
        child = subprocess.Popen(
            [*guard, *server.command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **server.env},
            cwd=server.cwd,
            start_new_session=True,
        )
    _STARTED.append(child)
    return Running(
        server.name, child.pid, psutil.Process(child.pid).create_time(), str(server.log), server.stop, server.grace
    )


def stop(running: Running) -> None:
    """Ask for an orderly end, wait ``grace`` seconds, then kill; children that it leaves behind are ended too."""
    process = running.process()
    if process is None:
        return
    family = [process, *process.children(recursive=True)]
    process.send_signal(running.stop)
    eventually(lambda: not _alive(process), timeout=running.grace)
    for survivor in family:
        with suppress(psutil.NoSuchProcess):
            survivor.kill()
    eventually(lambda: not any(map(_alive, family)), timeout=5)


def end(running: Running) -> None:
    """Kill it with everything that it started: for a part whose data nobody wants any more."""
    stop(replace(running, stop=signal.SIGKILL))


def _alive(process: psutil.Process) -> bool:
    """Whether it still runs; one that only waits for its parent to notice its end does not."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


@contextmanager
def serving(
    server: Server, ready: Callable[[], bool], *, timeout: float = 60.0, ending: Callable[[Running], None] = stop
) -> Iterator[Running]:
    """A server for the length of a ``with`` block, ready when the block starts and gone when it ends."""
    running = start(server, with_parent=True)
    try:
        await_ready(running, ready, timeout=timeout)
        yield running
    finally:
        ending(running)


def await_ready(running: Running, ready: Callable[[], bool], *, timeout: float = 60.0) -> None:
    """Return when ``ready()`` is true. Raises NotReady when the part has ended, or after ``timeout`` seconds."""

    def settled() -> bool:
        if running.process() is None:
            raise NotReady(f"{running.name} ended while starting; the end of {running.log}:\n{tail(running.log)}")
        return ready()

    if not eventually(settled, timeout=timeout):
        raise NotReady(
            f"{running.name} was not ready after {timeout:.0f} s; the end of {running.log}:\n{tail(running.log)}"
        )


def eventually(condition: Callable[[], bool], *, timeout: float, every: float = 0.05) -> bool:
    """True as soon as ``condition()`` holds, False after ``timeout`` seconds. OSError counts as not yet."""
    deadline = time.monotonic() + timeout
    while True:
        with suppress(OSError):
            if condition():
                return True
        if time.monotonic() > deadline:
            return False
        time.sleep(every)


def listening(host: str, port: int) -> bool:
    """Whether something accepts TCP connections there."""
    with suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False


def free_port(host: str = "127.0.0.1", preferred: int = 0) -> int:
    """A TCP port on ``host`` that nobody listens on: ``preferred`` if it is free, else one the kernel picks."""
    for port in (preferred, 0):
        with suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            chosen: int = probe.getsockname()[1]
            return chosen
    raise OSError(f"no free TCP port on {host}")


def tail(log: str | Path, lines: int = 15) -> str:
    """The last lines of a log, for an error message; empty when there is none."""
    with suppress(OSError):
        return "\n".join(Path(log).read_text(errors="replace").splitlines()[-lines:])
    return ""
