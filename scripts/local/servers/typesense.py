"""A real Typesense of one node: what runs as the application `search` on AWS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from scripts.local import processes
from scripts.toolchain import typesense


@dataclass(frozen=True, slots=True)
class Typesense:
    """A server, and the key of its administrator."""

    server: processes.Server
    url: str
    key: str

    def ready(self) -> bool:
        """Whether it has elected itself and reads its index."""
        try:
            with urlopen(f"{self.url}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except HTTPError:
            return False


def create(folder: Path, key: str) -> Typesense:
    """A server with its data in ``folder``. Raises CannotObtain."""
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    port, peering = processes.free_port(), processes.free_port()
    command = [
        *(str(typesense.obtain(lambda _: None)), "--data-dir", str(data)),
        *("--api-address", "127.0.0.1", "--api-port", str(port)),
        *("--peering-address", "127.0.0.1", "--peering-port", str(peering)),
    ]
    server = processes.Server(
        name="typesense", command=command, env={"TYPESENSE_API_KEY": key}, log=folder / "typesense.log", grace=20
    )
    return Typesense(server, f"http://127.0.0.1:{port}", key)


@contextmanager
def running(folder: Path, key: str) -> Iterator[Typesense]:
    """A server for the length of a ``with`` block."""
    made = create(folder / "typesense", key)
    with processes.serving(made.server, made.ready):
        yield made
