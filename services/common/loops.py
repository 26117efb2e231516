"""Work that a process does again and again beside its requests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg

from services.common import logs

log = logs.get(__name__)


async def every(seconds: float, work: Callable[[], Awaitable[int]], stop: asyncio.Event, name: str) -> None:
    """Do ``work`` until ``stop``: at once again while it finds something to do, else after ``seconds``.

    A fault of the database is waited out.
    """
    while not stop.is_set():
        try:
            found = await work()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("cannot work", loop=name, error=repr(error))
            found = 0
        if not found:
            try:
                await asyncio.wait_for(stop.wait(), seconds)
            except TimeoutError:
                continue
