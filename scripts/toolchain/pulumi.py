"""The Pulumi engine and the host that runs Python programs for it.

In this order: `pulumi` on PATH when it is recent enough, the tool cache, the official release, a build from source
through the Go module proxy (five minutes on two cores).
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache as remember
from pathlib import Path

from scripts.toolchain import cache, download, golang
from scripts.toolchain.cache import CannotObtain

VERSION = "3.259.0"
# Used in this order when VERSION cannot be had. Each was built through the Go module proxy, and the tests of the cloud,
# the stacks and the toolchain pass on it: put its `bin` first on PATH to run them again.
FALLBACKS = ("3.258.0",)
# An engine on PATH that is older is passed over: it predates the policy protocol of the pinned pulumi-policy.
MINIMUM = FALLBACKS[-1]

_PACKAGE = "github.com/pulumi/pulumi/pkg/v3"
_SDK = "github.com/pulumi/pulumi/sdk/v3"
_MODULE = Path(__file__).parent / "go" / "engine"
_EXEC = "pulumi-language-python-exec"
_HOST = "pulumi-language-python"
# GiB that Go's module and build caches take for the engine.
_NEED_GIB = 6


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine: its version, its program (the Python host lies beside it), and where it comes from."""

    version: str
    binary: Path
    origin: str


def find() -> Engine | None:
    """The engine that is here already, or None."""
    on_path = shutil.which("pulumi")
    # An engine without its Python host beside it is half an installation.
    if on_path and (Path(on_path).resolve().parent / _HOST).exists():
        version = _version(Path(on_path))
        if version and _at_least(version, MINIMUM):
            return Engine(version, Path(on_path).resolve(), "PATH")
    for version in (VERSION, *FALLBACKS):
        place = cache.folder("pulumi", version)
        if (place / "bin" / "pulumi").exists():
            return _cached(version, place)
    return None


def obtain(say: Callable[[str], None]) -> Engine:
    """The engine, obtained if need be. Raises CannotObtain with what was tried."""
    found = find()
    if found:
        return found
    tried = []
    for version in (VERSION, *FALLBACKS):
        for make in (_download, _build):

            def into(place: Path, version: str = version, make: Callable[..., None] = make) -> None:
                make(version, place, say)

            try:
                return _cached(version, cache.obtain("pulumi", version, into, say, need_gib=_NEED_GIB))
            except (CannotObtain, download.CannotDownload) as error:
                tried.append(f"- {version}: {error}")
    raise CannotObtain("the Pulumi engine is not on PATH and could not be had:\n" + "\n".join(tried))


def _cached(version: str, place: Path) -> Engine:
    return Engine(version, place / "bin" / "pulumi", str(place))


def _download(version: str, place: Path, say: Callable[[str], None]) -> None:
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    archive = f"pulumi-v{version}-{platform.system().lower()}-{machine}.tar.gz"
    release = f"https://github.com/pulumi/pulumi/releases/download/v{version}"
    sums = download.text(f"{release}/pulumi-{version}-checksums.txt")
    published = {name: sha256 for sha256, name in (line.split() for line in sums.splitlines() if line.strip())}
    with tempfile.TemporaryDirectory() as scratch:
        packed = Path(scratch, archive)
        download.file(f"{release}/{archive}", published[archive], packed, say)
        with tarfile.open(packed) as tar:
            tar.extractall(scratch, filter="data")
        shutil.move(Path(scratch, "pulumi"), place / "bin")


def _build(version: str, place: Path, say: Callable[[str], None]) -> None:
    bin_ = place / "bin"
    bin_.mkdir()
    with tempfile.TemporaryDirectory() as scratch:
        module = sources(version, Path(scratch))
        stamp = f"-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{version}"
        golang.build(module, f"{_PACKAGE}/cmd/pulumi", bin_ / "pulumi", f"-s -w {stamp}", say)
        sdk = Path(golang.run(module, "list", "-m", "-f", "{{.Dir}}", _SDK).strip())
        shutil.copyfile(sdk / "python" / "cmd" / _EXEC, bin_ / _EXEC)
        # Our own host, run by the environment of the clone that starts the engine.
        (bin_ / _HOST).write_text(
            '#!/bin/sh\nexec "${EVENTCTL_PYTHON:-python3}" -m scripts.toolchain.language_host "$@"\n'
        )
        for program in (_EXEC, _HOST):
            (bin_ / program).chmod(0o755)


def sources(version: str, folder: Path) -> Path:
    """The tools module, in ``folder``, that builds the engine of ``version``. Raises CannotObtain."""
    module = Path(shutil.copytree(_MODULE, folder / "module"))
    if version != VERSION:
        # Both at once: an engine does not compile against the SDK of another version.
        golang.run(module, "get", f"{_PACKAGE}@v{version}", f"{_SDK}@v{version}")
        golang.run(module, "mod", "tidy")
    return module


@remember
def _version(binary: Path) -> str | None:
    done = subprocess.run([binary, "version"], capture_output=True, text=True, check=False)
    found = re.match(r"v?(\d+\.\d+\.\d+)", done.stdout)
    return found[1] if found else None


def _at_least(version: str, minimum: str) -> bool:
    def key(text: str) -> tuple[int, ...]:
        return tuple(int(part) for part in text.split("."))

    return key(version) >= key(minimum)
