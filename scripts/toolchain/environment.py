"""The environment in which the engine runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from scripts.toolchain.pulumi import Engine


def for_engine(engine: Engine, backend: Path, debug_providers: str = "") -> dict[str, str]:
    """Variables for running ``engine`` with state kept under ``backend`` and, if given, providers already running.

    The passphrase is empty on purpose: it protects the state of a simulated environment, which holds no secret of
    anybody's. A variable that the user has set wins.
    """
    env = {
        **os.environ,
        "PATH": os.pathsep.join([str(engine.binary.parent), os.environ.get("PATH", os.defpath)]),
        "EVENTCTL_PYTHON": sys.executable,
        "PULUMI_BACKEND_URL": backend.as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": "",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    }
    if debug_providers:
        env["PULUMI_DEBUG_PROVIDERS"] = debug_providers
    return env
