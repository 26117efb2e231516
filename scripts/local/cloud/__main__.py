"""`python -m scripts.local.cloud`: serve the simulated cloud until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from pathlib import Path


def main() -> None:
    """Start everything, say where it is, wait for the signal to end."""
    arguments = _parser().parse_args()
    # moto reads it when an answer is made, and clients in this process must never reach the real AWS.
    os.environ["MOTO_ACCOUNT_ID"] = arguments.account
    os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
    os.environ.setdefault("AWS_ACCESS_KEY_ID", "simulated")
    os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "simulated")
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    from scripts.local.cloud.cloud import Cloud
    from scripts.local.cloud.data_plane import DataPlane

    data_plane = DataPlane.load(arguments.data_plane) if arguments.data_plane else DataPlane()
    asyncio.run(_serve(Cloud(arguments.region, arguments.account, data_plane, arguments.port), arguments.ready_file))


async def _serve(cloud: object, ready_file: Path | None) -> None:
    from scripts.local.cloud.cloud import Cloud

    assert isinstance(cloud, Cloud)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    ready = await cloud.start()
    text = json.dumps(ready, indent=2)
    if ready_file:
        draft = ready_file.with_name(f".{ready_file.name}.{os.getpid()}")
        draft.write_text(text)
        draft.rename(ready_file)
    print(text, flush=True)
    await ended.wait()
    with contextlib.suppress(Exception):
        await cloud.stop()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.local.cloud", description=__doc__)
    parser.add_argument("--data-plane", type=Path, metavar="FILE", help="JSON: the real servers behind the resources")
    parser.add_argument("--ready-file", type=Path, metavar="FILE", help="write the addresses there when ready")
    parser.add_argument("--region", default="eu-west-3", help="the default region (%(default)s)")
    parser.add_argument("--account", default="123456789012", help="the account id, 12 digits (%(default)s)")
    parser.add_argument("--port", type=int, default=0, help="the port of the AWS endpoint (any free one)")
    return parser


if __name__ == "__main__":
    main()
