"""The processes of each service: what runs, which of them takes requests, what scales it and what it may reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from components.reach import Port
from stacks.settings import ServiceName, ServiceSettings


@dataclass(frozen=True, slots=True)
class Entrypoint:
    """A module below ``services/<service>/entrypoints``.

    ``by`` is what it is scaled by: its processor time, its service's command queue, the queue of events; None is a
    fixed size.
    """

    name: str
    reaches: tuple[Port, ...]
    serves: bool = False
    by: Literal["cpu", "commands", "events"] | None = None
    options: tuple[str, ...] = ()

    def command(self, service: str) -> tuple[str, ...]:
        return ("python", "-m", f"services.{service}.entrypoints.{self.name}", *self.options)

    def most(self, chosen: ServiceSettings) -> int:
        """Pods at the peak."""
        return chosen.max_replicas if self.by else chosen.replicas


_DATABASE, _BROKER, _CACHE, _HTTPS = Port.POSTGRES, Port.AMQPS, Port.REDIS, Port.HTTPS
API = Entrypoint("api", (_DATABASE, _HTTPS), serves=True, by="cpu")
WORKER = Entrypoint("worker", (_DATABASE, _HTTPS), by="commands")
# One message after the other in the order of its table: a second relay only waits for the first one's locks.
RELAY = Entrypoint("relay", (_DATABASE, _BROKER))
MIGRATE = Entrypoint("migrate", (_DATABASE,))
# Something to buy, for a preview.
SEED = Entrypoint("seed", (_DATABASE,))
WORKFLOWS = Entrypoint("sync_workflows", (_HTTPS,), options=("--apply",))
PROCESSES: Mapping[ServiceName, tuple[Entrypoint, ...]] = {
    "booking": (
        Entrypoint("api", (_DATABASE, _CACHE, _HTTPS), serves=True, by="cpu"),
        WORKER,
        # It starts the sagas, too.
        Entrypoint("relay", (_DATABASE, _BROKER, _HTTPS)),
    ),
    "payment": (API, WORKER, RELAY),
    "notification": (API, WORKER, Entrypoint("consumer", (_DATABASE, _BROKER), by="events")),
}
