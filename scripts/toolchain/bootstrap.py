#!/usr/bin/env python3
"""Make .venv from requirements.lock with nothing but a Python 3.11+: it runs before anything is installed.

The interpreter is chosen, not taken as found: one built without optimisation (a default pyenv build) runs plain loops
1.7 times slower than Debian's own, so an optimised one of the same machine is preferred.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

MINIMUM = (3, 11)
ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
# Debian builds with -O2 but strips the flag from CONFIG_ARGS; an unoptimised build shows in PY_CFLAGS.
_PROBE = (
    "import sys, sysconfig; flags = sysconfig.get_config_var('PY_CFLAGS') or ''; "
    "pgo = '--enable-optimizations' in (sysconfig.get_config_var('CONFIG_ARGS') or ''); "
    "debian = sys.executable.startswith('/usr/bin/'); "
    "print(*sys.version_info[:2], int(pgo or debian))"
)


def main() -> int:
    """Create or refresh .venv; nothing is done when it is already what the lock asks for."""
    stamp, wanted = VENV / ".lock-installed", _wanted()
    if stamp.exists() and stamp.read_text() == wanted:
        return 0
    python = _interpreter()
    if python is None:
        print(
            f"no Python {'.'.join(map(str, MINIMUM))} or later was found on PATH: sudo apt-get install python3",
            file=sys.stderr,
        )
        return 1
    uv = _uv(python)
    if uv is None:
        return 1
    print(f"installing the Python environment with {python}", flush=True)
    # Compiled now, also where PYTHONDONTWRITEBYTECODE would have every run compile Pulumi's SDKs again.
    target = ["--compile-bytecode", "--python", str(VENV / "bin" / "python")]
    steps = [
        [*uv, "pip", "sync", "--quiet", "--require-hashes", *target, str(ROOT / "requirements.lock")],
        [*uv, "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", *target, "--editable", str(ROOT)],
    ]
    if not (VENV / "bin" / "python").exists():
        steps.insert(0, [*uv, "venv", "--quiet", "--allow-existing", "--python", python, str(VENV)])
    for step in steps:
        done = subprocess.run(step, check=False)
        if done.returncode:
            print(f"this failed: {' '.join(step)}", file=sys.stderr)
            return done.returncode
    stamp.write_text(wanted)
    return 0


def _wanted() -> str:
    digest = hashlib.sha256()
    for name in ("requirements.lock", "pyproject.toml"):
        digest.update((ROOT / name).read_bytes())
    return f"{digest.hexdigest()} {ROOT}"


def _interpreter() -> str | None:
    """The best interpreter on this machine: optimised builds first, then the newest of those the lock was made for."""
    chosen: list[tuple[int, tuple[int, int], str]] = []
    names = [f"python3.{minor}" for minor in (11, 12, 13, 14)] + ["python3"]
    folders = ["/usr/bin", *os.environ.get("PATH", "").split(os.pathsep)]
    for path in dict.fromkeys(str(Path(folder, name)) for folder in folders for name in names):
        if not os.access(path, os.X_OK):
            continue
        probe = subprocess.run([path, "-c", _PROBE], capture_output=True, text=True, check=False)
        if probe.returncode:
            continue
        major, minor, optimised = (int(part) for part in probe.stdout.split())
        if (major, minor) >= MINIMUM:
            # The oldest supported first: it is the one that the lock file was resolved for.
            chosen.append((-optimised, (major, minor), path))
    return min(chosen)[2] if chosen else None


def _uv(python: str) -> list[str] | None:
    """A uv to run: on PATH, or installed once into the tool cache by pip."""
    if found := shutil.which("uv"):
        return [found]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "event-platform" / "uv"
    uv = cache / "bin" / "uv"
    if not uv.exists():
        print("installing uv into the tool cache", flush=True)
        for candidate in dict.fromkeys([python, sys.executable]):
            pip = [
                candidate,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--root-user-action=ignore",
                "--target",
                str(cache),
            ]
            if subprocess.run([*pip, _pin("uv")], check=False).returncode == 0:
                return [str(uv)]
        print("uv could not be installed with pip: sudo apt-get install python3-pip, then try again", file=sys.stderr)
        return None
    return [str(uv)]


def _pin(package: str) -> str:
    """The requirement for a package at the version that the lock file has."""
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if line.startswith(f"{package}=="):
            return line.split()[0]
    raise KeyError(package)


if __name__ == "__main__":
    sys.exit(main())
