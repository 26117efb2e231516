"""Servers that come as Debian packages."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from scripts.toolchain.cache import CannotObtain

_POLICY = Path("/usr/sbin/policy-rc.d")


def command(packages: Sequence[str]) -> str:
    """The one command that installs ``packages``."""
    return f"sudo apt-get update && sudo apt-get install -y --no-install-recommends {' '.join(packages)}"


def install(packages: Sequence[str], say: Callable[[str], None]) -> None:
    """Install ``packages``, as root or with a sudo that asks nothing. Raises CannotObtain with the command to type."""
    prefix: list[str] = []
    if os.geteuid() != 0:
        prefix = ["sudo", "-n"]
        if not shutil.which("sudo") or subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
            raise CannotObtain(f"{', '.join(packages)}: installing needs root. Type: {command(packages)}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with _services_not_started() if not prefix else _nothing():
        for step in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
            say(f"apt-get {step[0]} {' '.join(packages) if step[0] == 'install' else ''}".rstrip())
            done = subprocess.run(
                [*prefix, "apt-get", "-q", *step], env=env, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise CannotObtain(f"apt-get {step[0]} failed:\n{done.stderr.strip()[-1500:]}\n{command(packages)}")


@contextmanager
def _services_not_started() -> Iterator[None]:
    """A package's own service would hold the port that ours wants; Debian asks this file before it starts one."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            _POLICY.unlink()


@contextmanager
def _nothing() -> Iterator[None]:
    yield
