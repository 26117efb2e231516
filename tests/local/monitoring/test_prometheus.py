"""Prometheus gets from the local platform what its operator would give it on a cluster."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.local.monitoring import prometheus
from scripts.local.servers import binaries

MONITOR: dict[str, Any] = {
    "metadata": {"name": "services", "namespace": "platform"},
    "spec": {
        "selector": {"matchLabels": {"app.kubernetes.io/part-of": "event-platform"}},
        "podTargetLabels": ["app.kubernetes.io/name", "app.kubernetes.io/component"],
        "podMetricsEndpoints": [{"port": "http", "path": "/metrics", "interval": "30s"}],
    },
}
RULE: dict[str, Any] = {
    "spec": {
        "groups": [
            {
                "name": "platform",
                "rules": [
                    {"alert": "Late", "expr": "late > 0", "for": "2m"},
                    {"alert": "Now", "expr": "wrong > 0"},
                    {"record": "late:sum", "expr": "sum(late)"},
                ],
            }
        ]
    }
}


def pod(name: str, phase: str = "Running", port: str = "http") -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": "platform",
            "labels": {"app.kubernetes.io/name": "booking", "app.kubernetes.io/component": "api"},
        },
        "spec": {"containers": [{"name": "api", "ports": [{"name": port, "containerPort": 8080}]}]},
        "status": {"phase": phase, "podIP": "127.20.1.2"},
    }


def test_prometheus_takes_the_configuration(tmp_path: Path) -> None:
    (tmp_path / prometheus.CONFIGURATION).write_text(
        yaml.safe_dump(prometheus.configuration([MONITOR], "http://127.0.0.1:9093"))
    )
    (tmp_path / prometheus.RULES).write_text(yaml.safe_dump(prometheus.rules([RULE])))
    (tmp_path / prometheus.target_file(MONITOR)).write_text(json.dumps(prometheus.targets(MONITOR, [pod("api-1")])))
    promtool = binaries.find("prometheus").with_name("promtool")
    command = [str(promtool), "check", "config", prometheus.CONFIGURATION]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 rules found" in done.stdout


def test_pods_that_run_are_asked_at_the_monitor_s_port_and_named_by_their_labels() -> None:
    found = prometheus.targets(MONITOR, [pod("api-1"), pod("api-2", phase="Pending"), pod("api-3", port="grpc")])
    assert found == [
        {
            "targets": ["127.20.1.2:8080"],
            "labels": {
                "namespace": "platform",
                "pod": "api-1",
                "app_kubernetes_io_name": "booking",
                "app_kubernetes_io_component": "api",
            },
        }
    ]


@pytest.mark.parametrize(("speed", "waits"), [(1, "120s"), (12, "10s")])
def test_alerts_are_as_impatient_as_asked_and_nothing_else_changes(speed: int, waits: str) -> None:
    [group] = prometheus.rules([RULE], speed)["groups"]
    late, now, recorded = group["rules"]
    assert late["for"] == waits
    assert "for" not in now
    assert recorded == RULE["spec"]["groups"][0]["rules"][2]
    assert RULE["spec"]["groups"][0]["rules"][0]["for"] == "2m"
