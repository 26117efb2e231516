"""`--local`: a command that works on AWS works on the platform of this machine, by environment variables alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import boto3
import typer

from runbooks._kit import Target
from scripts.cli import console
from scripts.local.cloud.running import Addresses
from scripts.local.platform import parts
from scripts.local.platform.layout import Layout


def variables(layout: Layout) -> dict[str, str]:
    """What points AWS's SDK, kubectl's clients and TLS to the platform in ``layout``; empty when there is none."""
    record = layout.record()
    if record is None:
        return {}
    return {
        **Addresses.load(Path(record.cloud)).environment(),
        "ENVIRONMENT": parts.ENVIRONMENT,
        "KUBECONFIG": record.kubeconfig,
        "SSL_CERT_FILE": str(layout.authority.bundle),
        "PROMETHEUS_URL": record.urls["prometheus"],
        "ALERTMANAGER_URL": record.urls["alertmanager"],
    }


def use_local(chosen: bool) -> bool:
    """Callback of the option: point this process there, or end it when there is nothing to point to."""
    if chosen:
        found = variables(Layout.default())
        if not found:
            console.fail("there is no platform; start it with `make up`", code=2)
        os.environ |= found
    return chosen


Local = Annotated[
    bool,
    # Eager: it comes before the options that its variables fill.
    typer.Option("--local", is_eager=True, callback=use_local, help="On the platform of this machine."),
]
Environment = Annotated[str, typer.Option(envvar="ENVIRONMENT", help="The environment, e.g. prod.")]


def looked_at(environment: str, region: str | None = None) -> Target:
    """The environment that a command looks at. Raises Refused; ends a command that names none."""
    if not environment:
        console.fail("which environment? Give --environment, set ENVIRONMENT, or choose --local", code=2)
    return Target.open(boto3.Session(region_name=region), environment)
