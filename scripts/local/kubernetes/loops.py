"""A loop that is a process of its own: it runs until it is told to stop, and then ends in order."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop


def until_stopped(loop: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Log to standard error, and run ``loop()`` until SIGTERM or SIGINT cancels it."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    uvloop.run(_run(loop))


async def _run(loop: Callable[[], Coroutine[Any, Any, None]]) -> None:
    work = asyncio.create_task(loop())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        logging.info("stopped")
