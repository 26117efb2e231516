"""Requests to moto, one at a time: it keeps what it holds in plain dictionaries, and walks them while others write."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

# Moto answers these only when something has come or a time has passed: nobody else may wait for that.
_LONG_POLLS = (".ReceiveMessage", ".GetActivityTask", ".StartSyncExecution")


def one_at_a_time(moto: Application) -> Application:
    """``moto`` behind a lock; its own mistakes are answered with what they were, and their trace is printed."""
    lock = threading.Lock()

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        waits = environ.get("HTTP_X_AMZ_TARGET", "").endswith(_LONG_POLLS)
        try:
            with nullcontext() if waits else lock:
                return moto(environ, start_response)
        except Exception as mistake:
            traceback.print_exc()
            reason = f"{type(mistake).__name__}: {mistake}".encode()
            start_response("500 Internal Server Error", [("Content-Length", str(len(reason)))])
            return [reason]

    return application
