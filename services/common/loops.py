"""Work that a process does again and again beside its requests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import asyncpg

from services.common import logs

log = logs.get(__name__)

DATABASE_FAULTS: tuple[type[Exception], ...] = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


async def every(
    name: str,
    work: Callable[[], Awaitable[object]],
    seconds: float,
    stop: asyncio.Event,
    *,
    faults: tuple[type[Exception], ...] = DATABASE_FAULTS,
    rest: float = 0.0,
) -> None:
    """Do ``work`` until ``stop``: at once again while it finds something to do, else after ``seconds``.

    ``faults`` are waited out, for ``rest`` seconds when that is longer; anything else is raised.
    """
    while not stop.is_set():
        try:
            wait = 0.0 if await work() else seconds
        except faults as error:
            log.warning("cannot work", loop=name, error=error)
            wait = max(seconds, rest)
        if wait:
            await pause(stop, wait)


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait for ``seconds``, or until ``stop``."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
