"""`python -m scripts.lock`: choose a version of everything, and write the locks that the choice is kept in.

``requirements.lock`` is for a checkout. ``services/requirements.lock`` is for the images of the services: of the same
versions, what they need and nothing else.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EVERYTHING, SERVICES = ROOT / "requirements.lock", ROOT / "services" / "requirements.lock"


def needs_of_services() -> list[str]:
    """The requirements of the services, without those of the infrastructure that every checkout has besides."""
    described = tomllib.loads((ROOT / "pyproject.toml").read_text())
    found: list[str] = described["project"]["optional-dependencies"]["services"]
    return found


def main() -> int:
    """Write both locks. Versions stay as they are locked where they still fit; ``--upgrade`` takes the newest."""
    upgrade = ["--upgrade"] if "--upgrade" in sys.argv[1:] else []
    everything = _compile(["--all-extras", *upgrade, "pyproject.toml", "--output-file", str(EVERYTHING)])
    return everything or _compile(
        ["--constraint", str(EVERYTHING), "-", "--output-file", str(SERVICES)], "\n".join(needs_of_services())
    )


def _compile(arguments: list[str], requirements: str = "") -> int:
    uv = str(Path(sys.executable).with_name("uv"))
    command = [uv, "pip", "compile", "--generate-hashes", "--no-header", "--no-annotate", "--quiet", *arguments]
    return subprocess.run(command, cwd=ROOT, input=requirements, text=True, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
