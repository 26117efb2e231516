"""The environment in which the engine runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from pulumi import automation

from scripts.toolchain.pulumi import Engine


def programs(engine: Engine) -> dict[str, str]:
    """Variables by which ``engine`` and its Python host are found."""
    return {
        "PATH": os.pathsep.join([str(engine.binary.parent), os.environ.get("PATH", os.defpath)]),
        "EVENTCTL_PYTHON": sys.executable,
    }


def workspace(
    engine: Engine, folder: Path, variables: Mapping[str, str], *, secrets_provider: str | None = None
) -> automation.LocalWorkspace:
    """The project in ``folder``, run by ``engine`` with ``variables``; new stacks seal secrets by that provider."""
    # The SDK would ask for an engine as new as itself; which one is used is this repository's decision.
    command = automation.PulumiCommand(root=str(engine.binary.parents[1]), skip_version_check=True)
    return automation.LocalWorkspace(
        work_dir=str(folder), env_vars=variables, pulumi_command=command, secrets_provider=secrets_provider
    )


def for_engine(engine: Engine, backend: Path, debug_providers: str = "") -> dict[str, str]:
    """Variables for running ``engine`` with state kept under ``backend`` and, if given, providers already running.

    The passphrase is empty on purpose: it protects the state of a simulated environment, which holds no secret of
    anybody's. A variable that the user has set wins.
    """
    env = {
        **os.environ,
        **programs(engine),
        "PULUMI_BACKEND_URL": backend.as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": "",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    }
    if debug_providers:
        env["PULUMI_DEBUG_PROVIDERS"] = debug_providers
    return env
