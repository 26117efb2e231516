"""``python -m scripts.local.kubernetes.node``: run the local node until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

import uvloop

from scripts.local.kubernetes.node.agent import Agent, Settings
from scripts.local.kubernetes.node.sandbox import Unavailable


def main() -> int:
    """Parse the command line and run; 0 after an orderly end, 1 when this machine cannot run pods."""
    parser = argparse.ArgumentParser(prog="python -m scripts.local.kubernetes.node", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True, help="the node's own kubeconfig (group system:nodes)")
    parser.add_argument(
        "--pki", type=Path, required=True, help="folder of kubelet.crt, kubelet.key, kubelet-clients.crt"
    )
    parser.add_argument("--images", type=Path, required=True, help="the image store")
    parser.add_argument("--block", required=True, help='the loopback block, for instance "127.7"')
    parser.add_argument("--state", type=Path, required=True, help="folder for logs and volumes of pods")
    parser.add_argument("--aws-endpoint", help="where AWS is reached; pods get it as AWS_ENDPOINT_URL")
    parser.add_argument("--region", default="eu-west-1", help="AWS region of the pods and of the node (%(default)s)")
    parser.add_argument("--cluster", default="local", help="EKS cluster whose Pod Identity associations count")
    parser.add_argument("--ca-bundle", type=Path, help="CA certificates that pods trust (SSL_CERT_FILE)")
    parser.add_argument(
        "--overcommit", type=float, default=4.0, help="CPUs shown per CPU of this machine, as requests are not enforced"
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        uvloop.run(_run(Settings(**vars(arguments))))
    except Unavailable as refused:
        print(f"error: {refused}", file=sys.stderr)
        return 1
    return 0


async def _run(settings: Settings) -> None:
    agent, stopped = Agent(settings), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await agent.run(stopped)


if __name__ == "__main__":
    sys.exit(main())
