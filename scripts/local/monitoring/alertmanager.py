"""A real Alertmanager, with the routes, inhibitions and receivers that the stack declares for its chart."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

from scripts.local import processes
from scripts.local.cloud.running import KEY
from scripts.local.monitoring.configured import Configured
from scripts.local.monitoring.prometheus import SPEED, divided
from scripts.local.servers import binaries

Object = dict[str, Any]
CONFIGURATION = "alertmanager.yml"
# Until the stack says who is told what.
_NOBODY: Object = {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}
_WAITS = ("group_wait", "group_interval", "repeat_interval")


def create(folder: Path, host: str) -> tuple[processes.Server, Configured]:
    """Write a configuration that tells nobody, for a start on ``host``. Raises MissingProgram without Alertmanager."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIGURATION).write_text(yaml.safe_dump(_NOBODY))
    port = processes.free_port(host, 9093)
    server = processes.Server(
        name="alertmanager",
        command=[
            *(str(binaries.find("prometheus-alertmanager")), f"--config.file={folder / CONFIGURATION}"),
            *(f"--storage.path={folder / 'data'}", f"--web.listen-address={host}:{port}"),
            # It is alone.
            *("--cluster.listen-address=", "--log.level=warn"),
        ],
        log=folder / "alertmanager.log",
    )
    return server, Configured(folder, f"http://{host}:{port}")


def configuration(declared: Object, endpoint: str, speed: int = SPEED) -> Object:
    """The chart's configuration, told to the AWS at ``endpoint``, and ``speed`` times as impatient."""
    found = copy.deepcopy(declared)
    for route in (found["route"], *found["route"].get("routes", [])):
        route |= {name: divided(route[name], speed) for name in _WAITS if name in route}
    for receiver in found["receivers"]:
        for topic in receiver.get("sns_configs", []):
            topic["api_url"] = endpoint
            topic["sigv4"] = {**topic["sigv4"], "access_key": KEY, "secret_key": KEY}
    return found
