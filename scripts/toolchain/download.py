"""Download an official binary and check its published SHA-256; quick to give up where nothing can be downloaded."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

# Seconds. A machine without access either refuses at once or never answers: a build takes over after this long.
_CONNECT_TIMEOUT = 5


class CannotDownload(RuntimeError):
    """The file cannot be had from here."""


def text(url: str) -> str:
    """The content of a small text file. Raises CannotDownload."""
    try:
        with urlopen(url, timeout=_CONNECT_TIMEOUT) as answer:
            content: bytes = answer.read()
    except (URLError, OSError) as error:
        raise CannotDownload(f"{url}: {error}") from error
    return content.decode()


def file(url: str, sha256: str, target: Path, say: Callable[[str], None]) -> None:
    """Fetch ``url`` into ``target``. Raises CannotDownload when it cannot be had or is not what was published."""
    say(f"downloading {url}")
    digest = hashlib.sha256()
    try:
        with urlopen(url, timeout=_CONNECT_TIMEOUT) as answer, target.open("wb") as out:
            shutil.copyfileobj(answer, out, 1 << 20)
        with target.open("rb") as written:
            digest = hashlib.file_digest(written, "sha256")
    except (URLError, OSError) as error:
        target.unlink(missing_ok=True)
        raise CannotDownload(f"{url}: {error}") from error
    if digest.hexdigest() != sha256:
        target.unlink()
        raise CannotDownload(f"{url}: SHA-256 is {digest.hexdigest()}, published is {sha256}")
