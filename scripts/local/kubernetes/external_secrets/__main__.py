"""``python -m scripts.local.kubernetes.external_secrets``: sync ExternalSecrets until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
from pathlib import Path

from scripts.local.kubernetes.api import Api
from scripts.local.kubernetes.external_secrets.reconcile import Controller
from scripts.local.kubernetes.loops import until_stopped


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m scripts.local.kubernetes.external_secrets", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True, help="the loop's own kubeconfig")
    parser.add_argument("--aws-endpoint", required=True, help="where AWS Secrets Manager is reached")
    parser.add_argument("--region", default="eu-west-1", help="region of stores that name none (%(default)s)")
    arguments = parser.parse_args()
    until_stopped(lambda: _run(arguments.kubeconfig, arguments.aws_endpoint, arguments.region))


async def _run(kubeconfig: Path, endpoint: str, region: str) -> None:
    async with Api(kubeconfig) as api:
        await Controller(api, endpoint=endpoint, region=region).run()


if __name__ == "__main__":
    main()
