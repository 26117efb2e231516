"""``python -m scripts.local.balancer``: keeps a running HAProxy at what the simulated AWS says, until SIGTERM."""

from __future__ import annotations

import argparse
from functools import lru_cache
from pathlib import Path

from scripts.local.balancer.configuration import Place
from scripts.local.balancer.haproxy import HAProxy
from scripts.local.balancer.loop import Loop
from scripts.local.cloud.running import Addresses
from scripts.local.kubernetes.loops import until_stopped
from scripts.local.monitoring.prometheus import SPEED


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m scripts.local.balancer", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True, help="the kubeconfig of the user `balancer`")
    parser.add_argument("--cloud", type=Path, required=True, help="the ready file of the simulated cloud")
    parser.add_argument("--folder", type=Path, required=True, help="the folder of HAProxy's configuration")
    arguments = parser.parse_args()
    cloud, place = Addresses.load(arguments.cloud), Place.load(arguments.folder)
    loop = Loop(lru_cache(cloud.client), cloud.control, arguments.kubeconfig, HAProxy(place, SPEED))
    until_stopped(loop.run)


if __name__ == "__main__":
    main()
