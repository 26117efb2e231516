"""Where obtained programs are kept: outside the checkout, one folder per tool and version, shared by every clone."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

GIB = 1024**3


class CannotObtain(RuntimeError):
    """A tool is missing and could not be had; the message names what was tried and what to do."""


def root() -> Path:
    """The cache folder: ``XDG_CACHE_HOME`` (default ``~/.cache``) and the project's name."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "event-platform"


def folder(tool: str, version: str) -> Path:
    """Where ``version`` of ``tool`` is, or will be."""
    return root() / tool / version


def obtain(
    tool: str, version: str, make: Callable[[Path], None], say: Callable[[str], None], *, need_gib: float = 0
) -> Path:
    """The folder of a tool, made once by ``make(empty folder)`` however many processes ask at the same time.

    What ``make`` leaves appears under its final name in one rename, so an interrupted run is never mistaken for a
    finished one. Raises CannotObtain when the disk has less than ``need_gib`` GiB free.
    """
    place = folder(tool, version)
    if place.is_dir():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{place}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"another process is obtaining {tool} {version}; waiting for it")
        lock.acquire()
    with lock:
        if place.is_dir():
            return place
        free = shutil.disk_usage(place.parent).free / GIB
        if free < need_gib:
            raise CannotObtain(
                f"{free:.1f} GiB are free where {place.parent} is, and obtaining {tool} {version} takes "
                f"{need_gib:.0f} GiB: free some space, or set XDG_CACHE_HOME to a larger disk"
            )
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".partial-", ignore_cleanup_errors=True) as draft:
            made = Path(draft, "made")
            made.mkdir()
            make(made)
            made.rename(place)
    return place
