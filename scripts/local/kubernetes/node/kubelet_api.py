"""The part of the kubelet's HTTPS API that `kubectl logs` needs, and the credentials endpoint of Pod Identity.

Only the API server may call the former: its client certificate comes from an authority that issued nothing else.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from scripts.local.kubernetes.node.identity import PATH, Identity
from scripts.local.kubernetes.node.pod import Pod

FOLLOW_SECONDS = 0.3  # between looks at a log that is followed
UNSUPPORTED = ("timestamps", "sinceSeconds", "sinceTime", "limitBytes")  # lines are kept as written, without a time
CHUNK = 1 << 16


class Quiet(uvicorn.Server):
    """A server that leaves signals to the agent."""

    def install_signal_handlers(self) -> None:
        """Nothing: the agent has its own."""


def logs(pods: Callable[[str, str], Pod | None], folder: Path, host: str, port: int) -> Quiet:
    """The kubelet API over TLS; ``folder`` holds the certificates that `ControlPlane.prepare` wrote."""

    async def container_logs(request: Request) -> Response:
        namespace, name, container = (request.path_params[key] for key in ("namespace", "pod", "container"))
        query = request.query_params
        if unsupported := [key for key in UNSUPPORTED if query.get(key, "false") not in ("false", "0")]:
            return PlainTextResponse(f"{unsupported[0]}: the local node keeps lines as written, without times", 400)
        pod = pods(namespace, name)
        both = (*pod.init, *pod.containers) if pod else ()
        found = next((each for each in both if each.name == container), None)
        if pod is None or found is None:
            return PlainTextResponse(f"no container {container} in a pod {namespace}/{name} on this node", 404)
        restart = found.status["restartCount"] - (query.get("previous") == "true")
        file = pod.log(container, restart)
        if not file.exists():
            word = "previous terminated " if query.get("previous") == "true" else ""
            return PlainTextResponse(f"{word}container {container!r} in pod {name!r} has no log yet", 400)
        count = int(query["tailLines"]) if "tailLines" in query else None
        follow = query.get("follow") == "true"

        def over() -> bool:
            return found.status["restartCount"] != restart or found.terminated is not None or not file.exists()

        return StreamingResponse(_lines(file, count, over if follow else None), media_type="text/plain")

    async def unsupported(request: Request) -> Response:
        word = request.url.path.split("/")[1]
        return PlainTextResponse(f"{word} is not supported by the local node: pods are processes of this machine", 501)

    routes = [Route("/containerLogs/{namespace}/{pod}/{container}", container_logs)]
    for word in ("exec", "attach", "portForward", "run"):
        routes.append(Route(f"/{word}/{{rest:path}}", unsupported, methods=["GET", "POST"]))
    return Quiet(
        uvicorn.Config(
            Starlette(routes=routes),
            host=host,
            port=port,
            log_level="warning",
            lifespan="off",
            ssl_certfile=str(folder / "kubelet.crt"),
            ssl_keyfile=str(folder / "kubelet.key"),
            ssl_ca_certs=str(folder / "kubelet-clients.crt"),
            ssl_cert_reqs=ssl.CERT_REQUIRED,
            timeout_graceful_shutdown=1,
        )
    )


def credentials(identity: Identity, host: str, port: int) -> Quiet:
    """The container credentials endpoint; a pod is known by the token in its Authorization header."""

    async def answer(request: Request) -> Response:
        found = await identity.credentials(request.headers.get("authorization", ""))
        if found is None:
            return JSONResponse({"message": "this token belongs to no pod of this node"}, 403)
        return JSONResponse(found)

    app = Starlette(routes=[Route(PATH, answer)])
    return Quiet(
        uvicorn.Config(app, host=host, port=port, log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
    )


async def _lines(file: Path, count: int | None, over: Callable[[], bool] | None) -> AsyncIterator[bytes]:
    with file.open("rb") as log:
        if count is not None:
            log.seek(_start_of_last(log.read(), count))
        while True:
            last = over is None or over()
            while chunk := log.read(CHUNK):
                yield chunk
            if last:
                return
            await asyncio.sleep(FOLLOW_SECONDS)


def _start_of_last(content: bytes, count: int) -> int:
    """Where the last ``count`` lines begin."""
    position = len(content) - content.endswith(b"\n")
    for _ in range(count):
        position = content.rfind(b"\n", 0, position)
        if position < 0:
            return 0
    return position + 1 if count else len(content)
