"""Options and server that the local stand-ins share."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

Application = Callable[[Any, Any, Any], Awaitable[None]]


def parser(module: str, about: str, port: int) -> argparse.ArgumentParser:
    """A parser with `--host` and `--port`."""
    made = argparse.ArgumentParser(prog=f"python -m {module}", description=about)
    made.add_argument("--host", default="127.0.0.1", help="loopback address to listen on (default %(default)s)")
    made.add_argument("--port", type=int, default=port, help="port to listen on (default %(default)s)")
    return made


def serve(app: Any, arguments: argparse.Namespace) -> None:
    """Serve ``app`` until SIGTERM. Refuses an address that is not loopback: these stand-ins guard nothing."""
    if not (arguments.host.startswith("127.") or arguments.host in ("localhost", "::1")):
        raise SystemExit(f"--host {arguments.host}: must be a loopback address; use 127.0.0.1")
    uvicorn.run(app, host=arguments.host, port=arguments.port, log_level="warning", timeout_graceful_shutdown=3)
