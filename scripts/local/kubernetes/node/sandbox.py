"""Start a process in namespaces of its own, and reach into them.

Each container gets a mount namespace (`enter` fills it) and a pid namespace, so that its main process is process 1 as
in any container: when it ends, everything that it started ends. ``setpriv --pdeathsig`` and ``unshare --kill-child``
chain its life to the agent's, whatever kills that. As root no user namespace is needed; a plain user gets one that maps
only itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

ENTER = Path(__file__).with_name("enter.py")
GUARD = ("setpriv", "--pdeathsig", "KILL", "--")
NAMESPACES = ("unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child=KILL")
USER = ("--user", "--map-current-user", "--keep-caps")


class Unavailable(RuntimeError):
    """This machine does not let the current user create the namespaces that a container needs."""


@dataclass(frozen=True, slots=True)
class Mount:
    """``source`` on this machine appears as ``target`` in the container."""

    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What `enter` is told. ``root`` is an empty folder; ``hidden`` folders of the machine look empty inside."""

    root: str
    mounts: Sequence[Mount]
    hidden: Sequence[str]
    hostname: str
    directory: str
    command: Sequence[str]
    env: Mapping[str, str]
    drop_capabilities: bool = False
    no_new_privileges: bool = False


def namespaces() -> tuple[str, ...]:
    """The `unshare` words that work for this user, found by trying. Raises Unavailable with the remedy."""
    errors = []
    for words in ((), USER) if os.geteuid() == 0 else (USER,):
        done = subprocess.run([*NAMESPACES, *words, "--", "true"], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return words
        errors.append(done.stderr.strip())
    raise Unavailable(
        f"pods need private mount, host name and pid namespaces, and `unshare` was refused ({'; '.join(errors)}). "
        "Allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces > 0, "
        "kernel.apparmor_restrict_unprivileged_userns=0; in a container: --security-opt seccomp=unconfined), "
        "or run as root with CAP_SYS_ADMIN"
    )


class Process:
    """One started container process, and the log file that it writes to."""

    def __init__(self, outer: asyncio.subprocess.Process, env: Mapping[str, str], words: Sequence[str]) -> None:
        self._outer, self._env, self._words = outer, env, words
        self._killed = False

    @classmethod
    async def start(cls, plan: Plan, log: Path, words: Sequence[str]) -> Process:
        """Start ``plan`` with standard output and error appended to ``log``."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            outer = await asyncio.create_subprocess_exec(
                *(*GUARD, *NAMESPACES, *words, "--", sys.executable, "-S", "-E", str(ENTER)),
                stdin=asyncio.subprocess.PIPE,
                stdout=output,
                stderr=output,
                env={},
                start_new_session=True,
            )
        assert outer.stdin is not None
        with suppress(ConnectionError):
            outer.stdin.write(json.dumps(asdict(plan)).encode())
            await outer.stdin.drain()
        outer.stdin.close()
        return cls(outer, plan.env, words)

    async def wait(self) -> int:
        """The exit code as a container runtime reports it: 128 + the number of the signal that ended it."""
        code = await self._outer.wait()
        if self._killed:  # util-linux 2.38's unshare reports a killed child as its own failure
            return 128 + signal.SIGKILL
        return code if code >= 0 else 128 - code

    @property
    def pid(self) -> int:
        """The outermost process; its only child is the container's process 1."""
        return self._outer.pid

    @property
    def ended(self) -> bool:
        """Whether it is gone."""
        return self._outer.returncode is not None

    def signal(self, number: int) -> None:
        """Signal process 1 of the container; SIGKILL takes everything in it along."""
        self._killed |= number == signal.SIGKILL
        with suppress(ProcessLookupError):
            if inner := self._inner():
                os.kill(inner, number)
            elif number == signal.SIGKILL and not self.ended:
                self._outer.kill()

    async def run_inside(self, command: Sequence[str], limit: float) -> tuple[int, str]:
        """Run ``command`` in the container; exit code and output. Raises TimeoutError after ``limit`` seconds."""
        inner = self._inner()
        if inner is None:
            return 126, "the container is not running"
        user = ("--user", "--preserve-credentials") if self._words else ()
        helper = await asyncio.create_subprocess_exec(
            *(*GUARD, "nsenter", "--target", str(inner), *user, "--mount", "--uts", "--pid", "--root", "--wd", "--"),
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=dict(self._env),
        )
        try:
            async with asyncio.timeout(limit):
                output, _ = await helper.communicate()
        except BaseException:
            for pid in [*_children(helper.pid), helper.pid]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await helper.wait()
            raise
        return helper.returncode or 0, output.decode(errors="replace")

    def _inner(self) -> int | None:
        return next(iter(_children(self._outer.pid)), None) if not self.ended else None


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []
