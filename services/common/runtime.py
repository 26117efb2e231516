"""How every process runs: one uvicorn server with health endpoints, background loops beside it, and an orderly end.

SIGTERM stops the server from accepting, then the loops are asked to stop and waited for, so that what is in hand is
finished.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import uvicorn
from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse

from services.common import logs, metrics, problems, telemetry
from services.common.asgi import Bounded
from services.common.openapi import Api
from services.common.settings import ServiceSettings

log = logs.get(__name__)

Check = Callable[[], Awaitable[object]]
Loop = Callable[[asyncio.Event], Awaitable[None]]
CHECK_SECONDS = 2.0
# Below Kubernetes' default terminationGracePeriodSeconds of 30.
DRAIN_SECONDS = 25
# Bytes: a hall of 20,000 numbered seats takes two million of them.
LARGEST_BODY = 4 * 1024 * 1024


def health(checks: Mapping[str, Check]) -> APIRouter:
    """`/healthz`: the process answers. `/readyz`: each of ``checks`` passes within CHECK_SECONDS."""
    router = APIRouter(include_in_schema=False)

    @router.get("/healthz")
    async def _alive() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/readyz")
    async def _ready() -> JSONResponse:
        results = dict(zip(checks, await asyncio.gather(*map(_passes, checks.values())), strict=True))
        ready = all(results.values())
        return JSONResponse({"status": "ready" if ready else "not ready", "checks": results}, 200 if ready else 503)

    return router


async def _passes(check: Check) -> bool:
    try:
        await asyncio.wait_for(_awaited(check), CHECK_SECONDS)
    except Exception as error:
        log.warning("not ready", error=error)
        return False
    return True


async def _awaited(check: Check) -> object:
    return await check()


@asynccontextmanager
async def looping(*loops: Loop) -> AsyncIterator[None]:
    """Run ``loops`` while the block runs. A loop that fails ends the process: the supervisor starts a fresh one."""
    stop = asyncio.Event()

    async def guarded(loop: Loop) -> None:
        try:
            await loop(stop)
        except Exception as error:
            log.critical("a background loop failed; ending", exc_info=error)
            signal.raise_signal(signal.SIGTERM)

    tasks = [asyncio.create_task(guarded(loop)) for loop in loops]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)


def application(title: str, lifespan: Callable[[FastAPI], object], *, description: str = "") -> FastAPI:
    """A FastAPI application with this platform's error format, documents, limits and metrics."""
    app = Api(title=title, version="1", description=description, lifespan=lifespan)
    problems.install(app)
    app.add_middleware(Bounded, most=LARGEST_BODY)
    app.add_middleware(metrics.Measured)
    app.include_router(metrics.router())
    return app


def serve(service: str, settings: ServiceSettings, app: FastAPI) -> None:
    """Serve ``app`` on POD_IP until SIGTERM or SIGINT."""
    telemetry.configure(service, settings)
    logs.configure(service, settings.log_level)
    telemetry.instrument(app)
    uvicorn.run(
        app,
        host=settings.pod_ip,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
