"""Find the servers that Debian installs outside PATH."""

from __future__ import annotations

import shutil
from pathlib import Path

# What each program belongs to: the remedy names the package.
PACKAGES = {
    "postgres": "postgresql",
    "redis-server": "redis-server",
    "rabbitmq-server": "rabbitmq-server",
    "etcd": "etcd-server",
    "prometheus": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "haproxy": "haproxy",
    "unshare": "util-linux",
}


class MissingProgram(RuntimeError):
    """A program that the local platform needs is not on this machine; the message says how to get it."""


def find(program: str) -> Path:
    """The path of ``program``. Raises MissingProgram when neither PATH nor Debian's own folders have it."""
    package = PACKAGES[program]
    # Debian's rabbitmq-server on PATH is a wrapper that changes user; the one in its library folder does not.
    folders = {
        "postgres": sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True),
        "rabbitmq-server": [Path("/usr/lib/rabbitmq/bin")],
        "haproxy": [Path("/usr/sbin")],
    }.get(program, [])
    for folder in folders:
        if (folder / program).exists():
            return folder / program
    on_path = shutil.which(program)
    if on_path:
        return Path(on_path)
    raise MissingProgram(
        f"{program} is not installed; the local platform runs a real one. Install it: sudo apt-get install {package}"
    )


def _version(folder: Path) -> float:
    try:
        return float(folder.parent.name)
    except ValueError:
        return 0.0
