"""What watches the cluster from inside it: asked at an address of its own, or through the API server."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import httpx

from runbooks._kit import kubernetes
from runbooks._kit.target import Target

# The release that brings both (components/operators.py), and its namespace.
_RELEASE = "kube-prometheus-stack"
_SECONDS = 5


class Ask(Protocol):
    """Raises what the way to it raises."""

    def __call__(
        self, path: str, query: Mapping[str, str] | None = None, *, method: str = "GET", body: Any = None
    ) -> Any:
        """The answer's JSON."""


@dataclass(frozen=True, slots=True)
class Watcher:
    """A server; ``variable`` is that of its address, ``part`` and ``port`` make the name of its Service."""

    variable: str
    part: str
    port: int

    def asked(self, target: Target) -> Ask:
        """The way to it: at the address that the variable has, else through the cluster of ``target``."""
        url = os.environ.get(self.variable)
        return _at(url) if url else _behind(target, f"{_RELEASE}-{self.part}:{self.port}")


PROMETHEUS = Watcher("PROMETHEUS_URL", "prometheus", 9090)
ALERTMANAGER = Watcher("ALERTMANAGER_URL", "alertmanager", 9093)


def _at(url: str) -> Ask:
    def ask(path: str, query: Mapping[str, str] | None = None, *, method: str = "GET", body: Any = None) -> Any:
        answer = httpx.request(method, f"{url}{path}", params=query, json=body, timeout=_SECONDS).raise_for_status()
        return answer.json() if answer.content else None

    return ask


def _behind(target: Target, service: str) -> Ask:
    # Which cluster it is, is asked once, and not for each query.
    api = cache(lambda: kubernetes.connected(target))

    def ask(path: str, query: Mapping[str, str] | None = None, *, method: str = "GET", body: Any = None) -> Any:
        answer, *_ = api().call_api(
            f"/api/v1/namespaces/{_RELEASE}/services/{service}/proxy{path}",
            method,
            query_params=list((query or {}).items()),
            header_params={"Accept": "application/json", "Content-Type": "application/json"},
            body=body,
            auth_settings=["BearerToken"],
            response_type="object",
            _request_timeout=_SECONDS,
        )
        return answer

    return ask
