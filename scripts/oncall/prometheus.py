"""Prometheus' API."""

from __future__ import annotations

from typing import Any

from runbooks._kit.target import Target
from runbooks._kit.watchers import PROMETHEUS, Ask


class Prometheus:
    """Queries; raises what the way to it raises."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    @classmethod
    def found(cls, target: Target) -> Prometheus:
        """At PROMETHEUS_URL, else through the cluster of ``target``."""
        return cls(PROMETHEUS.asked(target))

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that fire."""
        found = self._ask("/api/v1/alerts")["data"]["alerts"]
        return [alert for alert in found if alert["state"] == "firing"]

    def value(self, query: str) -> float | None:
        """The one value of ``query``; None where nobody has said anything."""
        found = self._ask("/api/v1/query", {"query": query})["data"]["result"]
        return float(found[0]["value"][1]) if found else None
