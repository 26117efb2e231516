"""The alarms of an application on the cluster: nobody is there, or memory is about to run out."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.alarm import alarm
from components.context import Context
from components.severity import Severity

# Of the limit: beyond it the kernel ends the program.
_MEMORY_PERCENT = 90
_NAMESPACE = "ContainerInsights"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationAlarmsArgs:
    """``service`` is the name of its Service and of its workload; ``least`` pods must run, or ``severity`` is due."""

    service: str
    cluster_name: pulumi.Input[str]
    namespace: pulumi.Input[str]
    least: int
    severity: Severity
    runbook: str

    def __post_init__(self) -> None:
        if self.least < 1:
            raise ValueError(f"least is {self.least}; an alarm below nothing never rings: 1 or more")


def make(name: str, args: ApplicationAlarmsArgs, *, context: Context, opts: pulumi.ResourceOptions) -> None:
    """The alarms, from what the CloudWatch agent counts (CloudWatch User Guide, "Container Insights metrics")."""
    where = {"ClusterName": args.cluster_name, "Namespace": args.namespace}
    alarm(
        f"{name}-pods",
        context=context,
        says=f"Fewer than {args.least} pods of {args.service} run.",
        runbook=args.runbook,
        namespace=_NAMESPACE,
        metric="service_number_of_running_pods",
        dimensions={**where, "Service": args.service},
        statistic="Minimum",
        below=args.least,
        severity=args.severity,
        # Without a pod nothing is counted.
        missing_is_bad=True,
        opts=opts,
    )
    alarm(
        f"{name}-memory",
        context=context,
        says=f"A pod of {args.service} is about to run out of memory.",
        runbook=args.runbook,
        namespace=_NAMESPACE,
        metric="pod_memory_utilization_over_pod_limit",
        dimensions={**where, "PodName": args.service},
        above=_MEMORY_PERCENT,
        severity=Severity.TICKET,
        opts=opts,
    )
