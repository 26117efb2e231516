"""`make check`: every static check, each in a line; what fails is printed whole. Ends 1 when one fails."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from scripts.toolchain import golang

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("components", "policies", "runbooks", "scripts", "services", "stacks")
ACTIONLINT = "1.7.12"
# Lines that two places may share before they should be one piece of code.
_DUPLICATE_LINES = 12


def main() -> int:
    """Run every check; returns the exit code."""
    failed = 0
    for name, command in _checks():
        began = time.monotonic()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        mark = "ok  " if done.returncode == 0 else "FAIL"
        print(f"{mark} {name} ({time.monotonic() - began:.0f} s)", flush=True)
        if done.returncode:
            failed += 1
            print(done.stdout + done.stderr)
    print(f"{len(_checks()) - failed} checks passed, {failed} failed")
    return 1 if failed else 0


def _checks() -> Sequence[tuple[str, Sequence[str]]]:
    bin_ = Path(sys.executable).parent
    duplicates = [
        *(str(bin_ / "pylint"), "--disable=all", "--enable=duplicate-code", "--score=n", "--jobs=1"),
        *("--ignore-imports=y", "--ignore-signatures=y", f"--min-similarity-lines={_DUPLICATE_LINES}", *PACKAGES),
    ]
    return (
        ("lint", [str(bin_ / "ruff"), "check"]),
        ("format", [str(bin_ / "ruff"), "format", "--check"]),
        ("types", [str(bin_ / "mypy")]),
        ("import rules", [str(bin_ / "lint-imports")]),
        ("dead code", [str(bin_ / "vulture")]),
        ("repeated code", duplicates),
        ("migrations", [sys.executable, "-m", "scripts.migration_rules"]),
        ("workflows", [str(_actionlint()), "-color=false"]),
        ("safety of workflows", [str(bin_ / "zizmor"), "--offline", "--pedantic", "--no-progress", ".github"]),
        ("image recipes", [str(bin_ / "hadolint"), "services/Dockerfile"]),
    )


def _actionlint() -> Path:
    """The workflow checker, built into the tool cache on first use: its Python package needs a download."""
    return golang.program("actionlint", ACTIONLINT, "github.com/rhysd/actionlint/cmd/actionlint", _say)


def _say(message: str) -> None:
    if "compiling" not in message:
        print(message, flush=True)


if __name__ == "__main__":
    sys.exit(main())
