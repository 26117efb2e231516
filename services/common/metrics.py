"""What Prometheus reads of a process: requests, saga commands and events, by how long they took and how they ended.

Labels are few and bounded (a route's template, never its path; no ids): each combination is a series that is kept.
"""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest

from services.common.asgi import App, Receive, Scope, Send, asked_by_people

# Seconds. Objectives are read at a bucket's edge, so each objective's limit is one of these.
_REQUEST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_DELAY = (1, 5, 15, 30, 60, 120, 300, 900)

REQUESTS = Histogram(
    "http_request_duration_seconds", "Requests answered", ["method", "route", "status"], buckets=_REQUEST
)
COMMANDS = Counter("saga_commands_total", "Saga commands answered", ["command", "outcome"])
EVENTS = Histogram("event_delay_seconds", "From an event until it was worked on", ["type"], buckets=_DELAY)


class Measured:
    """ASGI middleware that records every request but those of probes and of Prometheus itself."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and record what came of it; what raises without an answer counts as 500."""
        if not asked_by_people(scope):
            await self._app(scope, receive, send)
            return
        status, began = 500, time.perf_counter()

        async def sending(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            route = scope.get("route")
            taken = time.perf_counter() - began
            REQUESTS.labels(scope["method"], route.path if route else "none", str(status)).observe(taken)


def router() -> APIRouter:
    """`/metrics`, in Prometheus's text format."""
    served = APIRouter(include_in_schema=False)

    @served.get("/metrics")
    async def _metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return served
