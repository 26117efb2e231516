"""The processes of each service: what runs, and which of them takes requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stacks.settings import ServiceName


@dataclass(frozen=True, slots=True)
class Entrypoint:
    """A module below ``services/<service>/entrypoints``."""

    name: str
    serves: bool = False

    def command(self, service: str) -> tuple[str, ...]:
        return ("python", "-m", f"services.{service}.entrypoints.{self.name}")


API, WORKER, RELAY = Entrypoint("api", serves=True), Entrypoint("worker"), Entrypoint("relay")
MIGRATE = Entrypoint("migrate")
PROCESSES: Mapping[ServiceName, tuple[Entrypoint, ...]] = {
    "booking": (API, WORKER, RELAY),
    "payment": (API, WORKER, RELAY),
    "notification": (API, WORKER, Entrypoint("consumer")),
}
