"""What the middleware of every process is made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# Asked by the cluster, not by people: they would hide how buyers fare.
_PROBES = frozenset({"/healthz", "/readyz", "/metrics"})


def asked_by_people(scope: Scope) -> bool:
    """Whether it is a request, and not one of a probe or of Prometheus."""
    return bool(scope["type"] == "http" and scope["path"] not in _PROBES)
