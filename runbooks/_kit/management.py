"""The broker's management API, as its administrator: its nodes, queues and connections, as RabbitMQ describes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from runbooks._kit.target import Target

VHOST = "platform"
SECONDS = 10.0
Described = dict[str, Any]


class Management:
    """What the broker says of itself."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    @classmethod
    @contextmanager
    def connected(cls, target: Target) -> Iterator[Management]:
        """Connect for the length of a block. Methods raise what the broker answers."""
        login = target.secret(target.operations.broker_secret_arns["administrator"])
        with httpx.Client(
            base_url=f"{login['management']}/api/",
            auth=(login["username"], login["password"]),
            verify=target.trust,
            timeout=SECONDS,
        ) as http:
            yield cls(http)

    def who(self) -> Described:
        """Whom the broker takes this for."""
        found: Described = self._http.get("whoami").raise_for_status().json()
        return found

    def nodes(self) -> list[Described]:
        return self._get("nodes")

    def queues(self) -> list[Described]:
        """Those of the platform's virtual host."""
        return self._get(f"queues/{VHOST}")

    def connections(self) -> list[Described]:
        return self._get("connections")

    def rebalance(self) -> None:
        """Have the leaders of queues spread over the nodes, in all virtual hosts; the broker is not done when this
        returns (RabbitMQ's HTTP API reference, ``/api/rebalance/queues``).
        """
        self._http.post("rebalance/queues").raise_for_status()

    def _get(self, path: str) -> list[Described]:
        found: list[Described] = self._http.get(path).raise_for_status().json()
        return found
