"""The programs of a Kubernetes control plane, and kubectl: official binaries, or built where none can be had."""

from __future__ import annotations

import platform
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from scripts.toolchain import cache, download, golang

VERSION = "1.34.4"
PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")

_MODULE = Path(__file__).parent / "go" / "kubernetes"
_NEED_GIB = 6


def find() -> Path | None:
    """The folder that holds the programs, or None when they are not here yet."""
    place = cache.folder("kubernetes", VERSION)
    return place if all((place / program).exists() for program in PROGRAMS) else None


def obtain(say: Callable[[str], None]) -> Path:
    """The folder that holds the programs, obtained if need be. Raises CannotObtain."""

    def make(place: Path) -> None:
        try:
            _download(place, say)
        except download.CannotDownload:
            _build(place, say)

    return find() or cache.obtain("kubernetes", VERSION, make, say, need_gib=_NEED_GIB)


def _download(place: Path, say: Callable[[str], None]) -> None:
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    for program in PROGRAMS:
        url = f"https://dl.k8s.io/v{VERSION}/bin/linux/{machine}/{program}"
        download.file(url, download.text(f"{url}.sha256").strip(), place / program, say)
        (place / program).chmod(0o755)


def _build(place: Path, say: Callable[[str], None]) -> None:
    major, minor, _ = VERSION.split(".")
    stamps = {
        "k8s.io/component-base/version.gitVersion": f"v{VERSION}",
        "k8s.io/component-base/version.gitMajor": major,
        "k8s.io/component-base/version.gitMinor": minor,
        "k8s.io/client-go/pkg/version.gitVersion": f"v{VERSION}",
    }
    ldflags = " ".join(["-s", "-w", *(f"-X {name}={value}" for name, value in stamps.items())])
    with tempfile.TemporaryDirectory() as scratch:
        module = shutil.copytree(_MODULE, Path(scratch, "module"))
        for program in PROGRAMS:
            golang.build(module, f"k8s.io/kubernetes/cmd/{program}", place / program, ldflags, say)
