"""`python -m services.booking.entrypoints.api`, or `uvicorn --factory services.booking.entrypoints.api:create_app`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI

from services.booking.adapters.admission import WaitingRoom, connect
from services.booking.adapters.allocator import Allocator
from services.booking.entrypoints import routes
from services.booking.entrypoints.wiring import Services
from services.booking.settings import ApiSettings
from services.booking.ticket_codes import Signer
from services.common import aws, database, runtime
from services.common.auth import Authenticator
from services.common.executions import ExecutionReader
from services.common.settings import load_or_exit


def create_app(settings: ApiSettings | None = None) -> FastAPI:
    """The application; settings come from the environment unless given."""
    known = settings or load_or_exit(ApiSettings)
    signer = Signer.from_pem(known.ticket_signing_key.get_secret_value())
    cache = connect(known.redis_url.get_secret_value()) if known.redis_url else None

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        url = known.database_url.get_secret_value()
        async with database.pool(url, size=known.database_pool_size) as pool, httpx.AsyncClient(timeout=5) as client:
            app.state.authenticator = Authenticator(known, client)
            app.state.services = Services(
                pool=pool,
                allocator=Allocator(pool),
                waiting_room=WaitingRoom(pool, cache, signer.key.private_bytes_raw(), known.redis_key_prefix),
                signer=signer,
                executions=ExecutionReader(
                    aws.step_functions(known.aws_region), known.saga_state_machine_arn, aws.Threads(8)
                ),
            )
            app.include_router(runtime.health({"database": lambda: pool.fetchval("SELECT 1")}))
            yield
        if cache is not None:
            await cache.aclose()

    app = runtime.application("Booking", lifespan, description="Events, ticket types, holds, orders and tickets.")
    app.include_router(routes.router)
    return app


def main() -> None:
    """Serve until SIGTERM."""
    settings = load_or_exit(ApiSettings)
    runtime.serve("booking", settings, create_app(settings))


if __name__ == "__main__":
    main()
