"""``python -m scripts.local.monitoring``: configures Prometheus and Alertmanager, and judges alarms until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
from functools import lru_cache
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from scripts.local.cloud.data_plane import DataPlane
from scripts.local.cloud.running import Addresses
from scripts.local.kubernetes.loops import until_stopped
from scripts.local.monitoring.alarms import Alarms
from scripts.local.monitoring.configured import Configured
from scripts.local.monitoring.events import Events
from scripts.local.monitoring.measures import Measures
from scripts.local.monitoring.operator import Operator

log = logging.getLogger(__name__)
# CloudWatch looks once a minute.
ROUND_SECONDS = 5.0


async def _judge(alarms: Alarms) -> None:
    while True:
        try:
            await asyncio.to_thread(alarms.round)
        except (ClientError, BotoCoreError) as error:
            log.error("%s", error)
        await asyncio.sleep(ROUND_SECONDS)


async def _run(arguments: argparse.Namespace) -> None:
    cloud = Addresses.load(arguments.cloud / "cloud.json")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    # The functions that EventBridge calls make their clients themselves.
    os.environ |= cloud.environment()
    client = lru_cache(cloud.client)
    measures = Measures(client, DataPlane.load(arguments.cloud / "data-plane.json"), Path(os.environ["SSL_CERT_FILE"]))
    watcher, teller = (Configured(Path(folder), url) for folder, url in (arguments.prometheus, arguments.alertmanager))
    operator = Operator(arguments.kubeconfig, watcher, teller, cloud.endpoint)
    await asyncio.gather(operator.run(), _judge(Alarms(client, measures, Events(client))))


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m scripts.local.monitoring", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True, help="the kubeconfig of the user `monitoring`")
    parser.add_argument("--cloud", type=Path, required=True, help="the folder of the simulated cloud")
    for name in ("prometheus", "alertmanager"):
        parser.add_argument(
            f"--{name}", nargs=2, required=True, metavar=("FOLDER", "URL"), help="its configuration; where it answers"
        )
    arguments = parser.parse_args()
    until_stopped(lambda: _run(arguments))


if __name__ == "__main__":
    main()
