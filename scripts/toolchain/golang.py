"""Build programs from a tools module (a folder with go.mod and go.sum), with progress."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from scripts.toolchain import cache
from scripts.toolchain.cache import CannotObtain

# Modules that pin one program of somebody else's each.
_MODULES = Path(__file__).parent / "go"

_LAST_LINES = 20


def require() -> str:
    """The path of ``go``. Raises CannotObtain without one."""
    go = shutil.which("go")
    if go is None:
        raise CannotObtain("go is not on PATH, and there is nothing to download: install Go 1.25 or later (golang.org)")
    return go


def run(module: Path, *arguments: str) -> str:
    """What ``go <arguments>`` prints in ``module``. Raises CannotObtain with Go's own words when it fails."""
    done = subprocess.run([require(), *arguments], cwd=module, env=_env(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotObtain(f"go {' '.join(arguments)}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def program(name: str, version: str, package: str, say: Callable[[str], None], *, need_gib: float = 0) -> Path:
    """The program ``name`` of ``package``, built into the tool cache on first use. Raises CannotObtain."""

    def make(place: Path) -> None:
        module = shutil.copytree(_MODULES / name.replace("-", "_"), place / "module")
        build(module, package, place / name, "-s -w", say)
        shutil.rmtree(module)

    return cache.obtain(name, version, make, say, need_gib=need_gib) / name


def build(module: Path, package: str, target: Path, ldflags: str, say: Callable[[str], None]) -> None:
    """Compile ``package`` into ``target``.

    Go keeps every compiled package in its own cache: an interrupted build goes on where it was.
    Raises CannotObtain with the end of the compiler's output.
    """
    name = target.name
    say(f"{name}: fetching sources")
    total = len(run(module, "list", "-deps", package).split())
    command = [require(), "build", "-v", "-trimpath", "-mod=readonly", "-ldflags", ldflags, "-o", str(target), package]
    compiled, last = 0, [""]
    process = subprocess.Popen(
        command, cwd=module, env=_env(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            last = [*last, line.rstrip()][-_LAST_LINES:]
            compiled += 1
            say(f"{name}: compiling, {min(compiled, total)} of {total} packages")
        if process.wait():
            raise CannotObtain(f"building {package} failed:\n" + "\n".join(last))
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def _env() -> dict[str, str]:
    # A tools module stands alone: no workspace and no vendoring of the user may change what is built.
    return {**os.environ, "GOWORK": "off", "GOFLAGS": "-buildvcs=false", "CGO_ENABLED": "0"}
