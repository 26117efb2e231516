"""What the middleware of every process is made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# Asked by the cluster, not by people: they would hide how buyers fare.
_PROBES = frozenset({"/healthz", "/readyz", "/metrics"})


def asked_by_people(scope: Scope) -> bool:
    """Whether it is a request, and not one of a probe or of Prometheus."""
    return bool(scope["type"] == "http" and scope["path"] not in _PROBES)


class Bounded:
    """ASGI middleware that reads no more than ``most`` bytes of a body; Starlette's own would answer in plain text."""

    def __init__(self, app: App, most: int) -> None:
        self._app, self._most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; whoever reads further than that gets HTTPException 413."""
        read = 0

        async def receiving() -> MutableMapping[str, Any]:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._most:
                raise HTTPException(413)
            return message

        await self._app(scope, receiving, send)
