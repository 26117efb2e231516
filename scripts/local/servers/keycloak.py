"""A real Keycloak: what runs as the application `identity` on AWS. Its database is a file; it answers plain HTTP."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from scripts.local import processes
from scripts.toolchain import keycloak

ADMINISTRATOR = "setup"


@dataclass(frozen=True, slots=True)
class Keycloak:
    """A server, and the first secret of its administrator's client."""

    server: processes.Server
    url: str
    health: str
    secret: str

    def ready(self) -> bool:
        """Whether it says that it is ready."""
        try:
            with urlopen(self.health, timeout=2) as answer:
                return bool(answer.status == 200)
        except HTTPError:
            return False


def create(folder: Path, secret: str) -> Keycloak:
    """Lay out a server of its own in ``folder``. Raises CannotObtain."""
    shutil.copytree(keycloak.obtain(lambda _: None), folder, dirs_exist_ok=True)
    port, management = processes.free_port(), processes.free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        *(str(folder / "bin" / "kc.sh"), "start", "--optimized", f"--hostname={url}", "--http-enabled=true"),
        "--cache=local",
        *("--http-host=127.0.0.1", f"--http-port={port}"),
        *("--http-management-host=127.0.0.1", f"--http-management-port={management}"),
    ]
    env = {
        "KC_BOOTSTRAP_ADMIN_CLIENT_ID": ADMINISTRATOR,
        "KC_BOOTSTRAP_ADMIN_CLIENT_SECRET": secret,
        # It is used for seconds: compiling its code to the last would take longer than running it.
        "JAVA_OPTS_APPEND": "-XX:TieredStopAtLevel=1 -Xmx512m",
    }
    server = processes.Server(name="keycloak", command=command, env=env, log=folder / "keycloak.log")
    return Keycloak(server, url, f"http://127.0.0.1:{management}/health/ready", secret)


@contextmanager
def running(folder: Path, secret: str) -> Iterator[Keycloak]:
    """A server for the length of a ``with`` block."""
    made = create(folder / "keycloak", secret)
    with processes.serving(made.server, made.ready, timeout=180):
        yield made
