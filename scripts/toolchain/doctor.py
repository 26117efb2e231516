"""What this machine has, what it lacks, and the one command that mends it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from scripts.local.servers import binaries
from scripts.toolchain import cache, debian, golang, kubernetes, pulumi
from scripts.toolchain.cache import CannotObtain

# GiB: the running platform's data, logs and the Python environment; obtaining tools checks its own need.
_NEED_FREE_GIB = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that the platform needs. ``remedy`` is empty when it was found."""

    name: str
    found: str
    remedy: str = ""

    @property
    def ok(self) -> bool:
        return not self.remedy


def examine() -> list[Finding]:
    """Look for everything that `make up` and `make test` need; changes nothing."""
    return [
        Finding("python", f"{sys.version.split()[0]} at {sys.executable}"),
        _engine(),
        _kubernetes(),
        *(_program(name) for name in ("postgres", "redis-server", "rabbitmq-server", "etcd", "haproxy")),
        *(_program(name) for name in ("prometheus", "prometheus-alertmanager")),
        _namespaces(),
        _disk(),
    ]


def mend(say: Callable[[str], None]) -> None:
    """Obtain what is missing. Raises CannotObtain for what could not be had, after trying everything else."""
    packages = [binaries.PACKAGES[f.name] for f in examine() if f.name in binaries.PACKAGES and not f.ok]
    failures: list[str] = []
    steps: list[Callable[[], object]] = [lambda: pulumi.obtain(say), lambda: kubernetes.obtain(say)]
    if packages:
        steps.insert(0, lambda: debian.install(packages, say))
    for step in steps:
        try:
            step()
        except CannotObtain as error:
            failures.append(str(error))
    if failures:
        raise CannotObtain("\n\n".join(failures))


def _engine() -> Finding:
    engine = pulumi.find()
    if engine:
        return Finding("pulumi", f"{engine.version} from {engine.origin}")
    return Finding("pulumi", "", f"eventctl doctor --fix  (download, or build with Go: 5 minutes){_without_go()}")


def _kubernetes() -> Finding:
    place = kubernetes.find()
    if place:
        return Finding("kubernetes", f"{kubernetes.VERSION} at {place}")
    return Finding("kubernetes", "", f"eventctl doctor --fix  (download, or build with Go: 6 minutes){_without_go()}")


def _without_go() -> str:
    try:
        golang.require()
    except CannotObtain as error:
        return f"; {error}"
    return ""


def _program(name: str) -> Finding:
    try:
        return Finding(name, str(binaries.find(name)))
    except binaries.MissingProgram:
        return Finding(name, "", debian.command([binaries.PACKAGES[name]]))


def _namespaces() -> Finding:
    """Pods get their own /etc/hosts and volumes in a mount namespace; some containers forbid making one."""
    flags = ["--mount"] if os.geteuid() == 0 else ["--user", "--map-current-user", "--mount"]
    program = shutil.which("unshare")
    if program and subprocess.run([program, *flags, "true"], capture_output=True, check=False).returncode == 0:
        return Finding("mount namespaces", "allowed")
    return Finding(
        "mount namespaces", "", "sudo sysctl -w kernel.unprivileged_userns_clone=1  (in a container: --privileged)"
    )


def _disk() -> Finding:
    free = shutil.disk_usage(cache.root() if cache.root().exists() else ".").free / cache.GIB
    remedy = "" if free >= _NEED_FREE_GIB else f"free some space: {_NEED_FREE_GIB} GiB are needed, {free:.1f} are free"
    return Finding("disk", f"{free:.0f} GiB free", remedy)
