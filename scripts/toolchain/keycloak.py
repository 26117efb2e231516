"""Keycloak's own distribution, fetched by Maven: for tests that ask the real server. It needs Java 17 or later."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from scripts.toolchain import cache, debian
from scripts.toolchain.cache import CannotObtain

# The one whose image the stack files name.
VERSION = "26.4.7"
_ARTIFACT = f"org.keycloak:keycloak-quarkus-dist:{VERSION}:zip"
_PACKAGES = {"java": "default-jre-headless", "mvn": "maven"}
_NEED_GIB = 1


def obtain(say: Callable[[str], None]) -> Path:
    """The folder of the distribution, configured for a database in a file. Raises CannotObtain."""
    return cache.obtain("keycloak", VERSION, lambda place: _make(place, say), say, need_gib=_NEED_GIB)


def _make(place: Path, say: Callable[[str], None]) -> None:
    if missing := [package for program, package in _PACKAGES.items() if not shutil.which(program)]:
        debian.install(missing, say)
    with tempfile.TemporaryDirectory() as scratch:
        say(f"fetching Keycloak {VERSION}")
        _run("mvn", "-q", "-B", "dependency:get", f"-Dartifact={_ARTIFACT}", "-Dtransitive=false")
        _run("mvn", "-q", "-B", "dependency:copy", f"-Dartifact={_ARTIFACT}", f"-DoutputDirectory={scratch}")
        [archive] = Path(scratch).glob("*.zip")
        with zipfile.ZipFile(archive) as zipped:
            zipped.extractall(scratch)
        [unpacked] = (path for path in Path(scratch).iterdir() if path.is_dir())
        (unpacked / "bin" / "kc.sh").chmod(0o755)
        say(f"configuring Keycloak {VERSION}")
        # What a first start would do, each time anew.
        _run(str(unpacked / "bin" / "kc.sh"), "build", "--db=dev-file", "--health-enabled=true")
        shutil.copytree(unpacked, place, dirs_exist_ok=True)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotObtain(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr).strip()[-1500:]}")
