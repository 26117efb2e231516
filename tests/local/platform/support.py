"""`eventctl` as a person runs it, and what is left on the machine afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import redis

from scripts.local.cloud.running import Addresses
from scripts.local.platform.layout import Layout, Record

EVENTCTL = Path(sys.executable).with_name("eventctl")
# Seconds: the platform is up in about 200 on two idle cores.
PATIENCE = 420


def own_environment() -> dict[str, str]:
    """The environment of a newcomer: without the clouds and authorities that other tests of this process have set."""
    return {key: value for key, value in os.environ.items() if key != "SSL_CERT_FILE" and not key.startswith("AWS_")}


def eventctl(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end, with more variables in its ``environment``."""
    return subprocess.run(
        [EVENTCTL, *arguments],
        capture_output=True,
        text=True,
        # A promotion is an update of the whole stack, after the canary.
        timeout=PATIENCE * 2,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**own_environment(), **environment},
    )


@dataclass(frozen=True)
class Platform:
    """A running platform of this test session's own."""

    layout: Layout
    record: Record

    @property
    def variables(self) -> dict[str, str]:
        """With them a command means this platform, and its evidence goes where the platform's files go."""
        folder = self.layout.folder
        return {"EVENT_PLATFORM_STATE": str(folder), "XDG_STATE_HOME": str(folder.parent / "evidence")}

    def eventctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return eventctl(*arguments, **self.variables)

    def begun(self, *arguments: str) -> subprocess.Popen[str]:
        """A command that runs beside the test, in a process group of its own; it is asked for what it says."""
        return subprocess.Popen(
            [EVENTCTL, *arguments],
            env={**own_environment(), **self.variables},
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def answer(self, *arguments: str) -> Any:
        """What a command says with --json; it must have worked."""
        done = self.eventctl(*arguments, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def secret(self, name: str) -> dict[str, str]:
        """A login that its Secrets Manager keeps."""
        found: dict[str, str] = json.loads(self.aws("secretsmanager").get_secret_value(SecretId=name)["SecretString"])
        return found

    def cache(self, login: Mapping[str, str]) -> redis.Redis:
        """Its Redis, as whoever has that login."""
        return redis.Redis(
            host=login["host"], port=int(login["port"]), username=login["username"], password=login["password"],
            ssl=True, ssl_ca_certs=str(self.layout.authority.bundle),
        )  # fmt: skip

    @property
    def cloud(self) -> Addresses:
        return Addresses.load(Path(self.record.cloud))

    def aws(self, service: str) -> Any:
        """A boto3 client of its cloud."""
        return self.cloud.client(service)


@contextmanager
def running(folder: Path) -> Iterator[Platform]:
    """A platform in ``folder``, gone at the end."""
    layout = Layout(folder)
    try:
        done = eventctl("local", "up", "--state", str(folder))
        assert done.returncode == 0, done.stderr
        record = layout.record()
        assert record is not None
        yield Platform(layout, record)
    finally:
        eventctl("local", "down", "--state", str(folder))


def mentioning(text: str) -> list[str]:
    """Command lines of other processes that mention ``text``."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        if text in line and process.info["pid"] != os.getpid() and "pytest" not in line:
            found.append(line)
    return found
