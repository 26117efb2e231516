"""`python -m services.notification.entrypoints.api`: one's own feed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import httpx
from fastapi import APIRouter, FastAPI, Request

from services.common import database, runtime
from services.common.auth import Authenticator, Caller
from services.common.bodies import Body
from services.common.problems import documented
from services.common.settings import load_or_exit
from services.notification.adapters.store import PostgresStore
from services.notification.settings import ApiSettings

router = APIRouter(tags=["notification"])


class Entry(Body):
    """Something that happened to one's orders."""

    id: str
    type: str
    ids: dict[str, str]
    occurred_at: datetime


@router.get("/notifications", response_model=list[Entry], responses=documented(401, 503))
async def show_feed(caller: Caller, request: Request) -> Any:
    """The newest hundred entries of one's own feed."""
    return await PostgresStore(request.app.state.pool).feed(caller.id)


def create_app(settings: ApiSettings | None = None) -> FastAPI:
    """The application; settings come from the environment unless given."""
    known = settings or load_or_exit(ApiSettings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        url = known.database_url.get_secret_value()
        async with database.pool(url, size=known.database_pool_size) as pool, httpx.AsyncClient(timeout=5) as client:
            app.state.pool = pool
            app.state.authenticator = Authenticator(known, client)
            app.include_router(runtime.health({"database": lambda: pool.fetchval("SELECT 1")}))
            yield

    app = runtime.application("Notification", lifespan, description="What happened to one's orders.")
    app.include_router(router)
    return app


def main() -> None:
    """Serve until SIGTERM."""
    settings = load_or_exit(ApiSettings)
    runtime.serve("notification", settings, create_app(settings))


if __name__ == "__main__":
    main()
