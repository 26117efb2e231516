"""A real Prometheus, and its configuration out of what the stack declares: pure functions.

On the cluster Prometheus' operator turns PodMonitors and PrometheusRules into this configuration; here this does.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from scripts.local import processes
from scripts.local.monitoring.configured import Configured
from scripts.local.servers import binaries

Object = dict[str, Any]
# A day on call passes in minutes: what an alarm waits for is divided by this, and asked for as often.
SPEED = 12
EVERY = "5s"
CONFIGURATION, RULES = "prometheus.yml", "rules.yml"


def create(folder: Path, host: str, alertmanager: str) -> tuple[processes.Server, Configured]:
    """Write an empty configuration, for a start on ``host``. Raises MissingProgram without Prometheus.

    ``alertmanager`` is where that answers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIGURATION).write_text(yaml.safe_dump(configuration([], alertmanager)))
    (folder / RULES).write_text(yaml.safe_dump({"groups": []}))
    port = processes.free_port(host, 9090)
    server = processes.Server(
        name="prometheus",
        command=[
            *(str(binaries.find("prometheus")), f"--config.file={folder / CONFIGURATION}"),
            *(f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={host}:{port}"),
            # Reload is asked for over HTTP, from loopback alone.
            *("--web.enable-lifecycle", "--storage.tsdb.retention.size=200MB", "--log.level=warn"),
        ],
        log=folder / "prometheus.log",
    )
    return server, Configured(folder, f"http://{host}:{port}")


def configuration(monitors: Sequence[Object], alertmanager: str) -> Object:
    """Prometheus' own configuration, for PodMonitors; Debian's is built without Kubernetes, so pods come in files."""
    return {
        "global": {"scrape_interval": EVERY, "scrape_timeout": EVERY, "evaluation_interval": EVERY},
        "rule_files": [RULES],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [urlsplit(alertmanager).netloc]}]}]},
        "scrape_configs": [
            {
                "job_name": monitor_name(each),
                "metrics_path": each["spec"]["podMetricsEndpoints"][0].get("path", "/metrics"),
                "file_sd_configs": [{"files": [target_file(each)]}],
            }
            for each in monitors
        ],
    }


def monitor_name(monitor: Object) -> str:
    """As the operator calls the job of a PodMonitor, with its one endpoint."""
    return f"{monitor['metadata']['namespace']}/{monitor['metadata']['name']}"


def target_file(monitor: Object) -> str:
    """Where the pods of a PodMonitor are written."""
    return f"{monitor_name(monitor).replace('/', '.')}.json"


def targets(monitor: Object, pods: Iterable[Object]) -> list[Object]:
    """The addresses of those ``pods`` that a PodMonitor selects and that run, each with the labels of its series."""
    spec = monitor["spec"]
    port = spec["podMetricsEndpoints"][0]["port"]
    return [
        {
            "targets": [f"{pod['status']['podIP']}:{number}"],
            "labels": {
                "namespace": pod["metadata"]["namespace"],
                "pod": pod["metadata"]["name"],
                **{
                    _as_label(name): pod["metadata"]["labels"].get(name, "") for name in spec.get("podTargetLabels", [])
                },
            },
        }
        for pod in pods
        if pod["status"].get("phase") == "Running" and pod["status"].get("podIP")
        for container in pod["spec"]["containers"]
        for number in [each["containerPort"] for each in container.get("ports", []) if each.get("name") == port]
    ]


def rules(found: Iterable[Object], speed: int = SPEED) -> Object:
    """The rules of PrometheusRules, alerts ``speed`` times as impatient."""
    groups = [copy.deepcopy(group) for each in found for group in each["spec"]["groups"]]
    for group in groups:
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = divided(rule["for"], speed)
    return {"groups": groups}


def divided(duration: str, speed: int) -> str:
    """A duration of Prometheus', so many times as short, in whole seconds."""
    return f"{int(_seconds(duration) / speed)}s"


def _as_label(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]", "_", name)


def _seconds(duration: str) -> float:
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"(\d+)([smhd])", duration))
