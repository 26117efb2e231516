"""`python -m services.notification.entrypoints.api`: one's own feed and preferences, and Novu's webhooks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI

from services.common import database, runtime
from services.common.auth import Authenticator
from services.common.settings import load_or_exit
from services.notification.entrypoints import routes
from services.notification.settings import ApiSettings


def create_app(settings: ApiSettings | None = None) -> FastAPI:
    """The application; settings come from the environment unless given."""
    known = settings or load_or_exit(ApiSettings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        url = known.database_url.get_secret_value()
        async with database.pool(url, size=known.database_pool_size) as pool, httpx.AsyncClient(timeout=5) as client:
            app.state.pool = pool
            app.state.webhook_secret = known.novu_webhook_secret
            app.state.authenticator = Authenticator(known, client)
            app.include_router(runtime.health({"database": lambda: pool.fetchval("SELECT 1")}))
            yield

    app = runtime.application("Notification", lifespan, description="What one is told, and how one wants to be told.")
    app.include_router(routes.router)
    return app


def main() -> None:
    """Serve until SIGTERM."""
    settings = load_or_exit(ApiSettings)
    runtime.serve("notification", settings, create_app(settings))


if __name__ == "__main__":
    main()
