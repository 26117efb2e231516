"""Structured logs: one JSON object a line on standard output, ids and outcomes only, never personal data or secrets.

An error is logged as such (`error=error`, `exc_info=error`), and told without its text. The libraries that we use log
warnings alone, whatever the level: what they say at others quotes addresses and bodies.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any

import structlog

from services.common import faults, telemetry

_OURS = ("services", "__main__", "uvicorn")


def configure(service: str, level: str) -> None:
    """Send structlog and the standard library's logging through one JSON renderer. ``level`` is a level's name."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(faults.rendered),
        _told,
    ]
    if telemetry.enabled():
        shared.append(telemetry.log_ids)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _first_line],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    chosen = logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(max(chosen, logging.WARNING))
    for name in _OURS:
        logging.getLogger(name).setLevel(chosen)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    sys.excepthook = _end
    # A line that cannot be written is lost: Python would print all that it was made of.
    logging.raiseExceptions = False
    structlog.contextvars.bind_contextvars(service=service)


def _told(_: object, __: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: faults.told(value) if isinstance(value, BaseException) else value for key, value in entry.items()}


def _first_line(_: object, __: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What asyncio logs has lines after it with what a task was doing, and the text of its error."""
    return {**entry, "event": str(entry["event"]).partition("\n")[0]}


def _end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Of a process that an error ends; Python itself would print the text."""
    get(__name__).critical("ended by an error", exc_info=(kind, error, trace))


def get(name: str) -> structlog.stdlib.BoundLogger:
    """A logger for a module."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
