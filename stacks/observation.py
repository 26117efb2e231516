"""How the environment is seen: objectives and alerts on the cluster, and the dashboard of every alarm."""

from __future__ import annotations

import pulumi

from components.dashboard import Dashboard
from components.monitoring import Monitoring, MonitoringArgs
from stacks.alerts import ALERTS
from stacks.compute import Compute
from stacks.foundation import Foundation
from stacks.objectives import OBJECTIVES
from stacks.settings import PlatformSettings


def build(settings: PlatformSettings, foundation: Foundation, compute: Compute) -> None:
    """Comes after every layer that makes alarms."""
    Monitoring(
        "monitoring",
        MonitoringArgs(
            namespace=compute.namespace.name,
            objectives=OBJECTIVES,
            alerts=ALERTS,
            # Where people read what is merged.
            runbooks=f"https://github.com/{settings.delivery.repository}/blob/main/runbooks",
        ),
        opts=pulumi.ResourceOptions(
            providers={"kubernetes": compute.cluster.kubernetes},
            # The definition of PodMonitor and PrometheusRule comes with Prometheus.
            depends_on=[compute.operators],
        ),
    )
    Dashboard("dashboard", context=foundation.context)
